"""What programs ask over HTTP: routes beside the dashboard's pages, a file per resource (docs/api.md)."""
