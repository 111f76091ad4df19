package main

import _ "embed"

// pauseSource is compiled into the pods' sandbox image by the first `up`.
//
//go:embed pause/main.go
var pauseSource []byte
