"""The methods, one file each; `method` says what a method is and what it must do."""
