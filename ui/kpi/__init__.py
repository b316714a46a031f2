"""What pages draw of KPIs."""
