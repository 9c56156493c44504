"""The engines, one file each; `engine` says what an engine is and what it must do."""
