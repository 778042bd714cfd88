"""What every face does the same way: the command line, HTTP, the web app and their benchmarks."""
