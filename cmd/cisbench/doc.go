// Command cisbench measures cis as its users meet it: as whole processes, on
// a company that does not exist, each beside a floor.
//
//	go run ./cmd/cisbench [--people 1000,10000] [--runs 3] [--json] [--out BENCHMARKS.md]
//
// It is run from the root of the module. It builds cis, has it write the
// company (cis synth) into a temporary folder, and then measures for each
// size of company, with Ed25519 and with RS256 keys of 2048 bits: a first
// load, a run in which nothing changed, and the run of the next day, on which
// about one person in a hundred changed.
//
// # The floor
//
// The floor is a process of its own that does what no program for the task
// can leave out, and nothing else: it parses the same five files with a minimum
// of code and signs as many payloads of the same sizes as cis signed, with the
// same algorithm, on all processors. It stores, compares and checks nothing.
// What cis costs beyond it is the price of everything else.
//
// CPU is user and system time of the process; its ratio to the floor's tells
// more than wall time, which other work on the machine disturbs.
//
// # The person service
//
//	go run ./cmd/cisbench serve [--people 100000] [--for 4s] [--dir DIR] [--out BENCHMARKS.md]
//
// It loads a company, serves it, and asks each route as fast as 16 connections
// can, by turns with a bare handler that only writes the same bytes; then at 70 %
// of that, in open loop: requests are due at fixed moments, and what they wait
// counts. Whoever asks shares the processors with both.
//
// It refuses to judge: there is no limit that fails.
package main
