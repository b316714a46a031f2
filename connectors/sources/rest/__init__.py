"""What sources over HTTP share (client, sign-in, paging, windows), and the source `rest` for any API."""

from connectors.sources.rest.generic import Rest as Rest
