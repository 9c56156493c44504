"""What explains for the server: processes of this machine, and actors on the machines of a cluster."""
