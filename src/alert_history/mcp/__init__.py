"""The history for programs that speak the Model Context Protocol: tools that read, over HTTP and standard input.

`tool` says what a tool is, `toolbox` calls one, `bounds` keeps answers small, `tools/` has a file for each noun. Only
`server`, `endpoint` and `stdio` know the SDK, which is an extra: they are imported when a client comes.
Must not change anything, and must not import `web`, which stands beside it.
"""
