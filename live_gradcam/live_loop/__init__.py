"""The live loop: the newest frame in, explained, drawn, shown and recorded, while commands come."""
