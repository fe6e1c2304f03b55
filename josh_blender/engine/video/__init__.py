"""Pictures and their times: videos and image sequences in, plates and proxies out."""
