// Package sqlite keeps the vault and the ledger in one SQLite file, through a
// driver in pure Go.
//
// # What is promised
//
// A commit that has returned is on disk (WAL, synchronous=FULL): a killed
// process loses nothing, and neither does a power cut on a disk that honours
// fsync. Each person is written whole or not at all, and a fence is checked in
// the transaction that it protects. Any number of processes of one host may
// have the file open at once; readers never wait for a writer, and a writer
// holds its lock for about 50 ms at most before it lets the others in.
//
// # What is not
//
// One host and a local disk: SQLite's locks and its shared memory do not work
// over a network, so a path on a network or FUSE file system is refused where
// the operating system tells (Linux). The file is not encrypted; it is made
// readable by its owner only. It grows and never shrinks by itself. A copy is
// made of all three files (the database, -wal and -shm) with no process
// having it open, or with SQLite's own tools; copying the first one alone
// loses commits.
package sqlite
