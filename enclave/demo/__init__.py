"""Made-up hospital stays, one public table, and their dataset policies: what the demonstration runs on."""
