"""The formats that models are exported to, a file each: see `export_format`."""
