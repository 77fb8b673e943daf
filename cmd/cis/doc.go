// Command cis is the whole program: one binary with a subcommand for each
// thing that can be done. See `cis --help`.
//
// The package owns the command line, exit codes and printing, and the choice
// of implementations (open.go is the only file that names any). It holds no
// rule about people. Each command is one file: a struct whose fields are its
// arguments, a Help that shows how it is used, and a Run that calls a library
// and prints what came back.
//
// # Output
//
// The result of a command is on standard output, in a form for people or,
// with --json, as exactly one JSON document. What is said on the way
// (progress, complaints) is on standard error. A command that fails says so
// in lines that begin with "cis: " and, with --json, as
//
//	{"error": {"code": "usage", "message": "…"}}
//
// on standard output, with code one of failed, usage and config; the last
// has a list "complaints" as well, of objects with message and either file
// and line or variable. A command that ends with 3 prints its result and no
// error object.
package main
