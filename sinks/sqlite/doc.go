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
// When Erase has returned without an error, no byte of a value of the person is
// in the database, -wal or -shm, other than in rows of outboxes that are still
// to be delivered, nor of a value that was replaced before. What is removed or
// replaced is overwritten at once (secure_delete), what SQLite leaves behind
// when it splits a page is overwritten by Erase, and the log is brought in and
// cut off. That reads all pages but those of long documents, without the write
// lock and in about 0.2 s for each 10,000 people in the vault, and it waits for
// whoever is reading an earlier state: after 10 s it is an error, and Erase is to
// be called again. What was delivered since is overwritten for certain by the
// next Erase. The ledger is not looked at.
//
// A file of an earlier format is raised when it is opened to write: it is written
// anew once, which takes as much room again meanwhile and seconds a GB. Opened to
// read only it answers all but Search and Audit.
//
// # What is not
//
// One host and a local disk: SQLite's locks and its shared memory do not work
// over a network, so a path on a network or FUSE file system is refused where
// the operating system tells (Linux). The file is not encrypted; it is made
// readable by its owner only. It grows and never shrinks by itself. What a file
// system or a disk keeps of blocks that were overwritten or given back is out of
// reach, and so are copies of the file. A copy is
// made of all three files (the database, -wal and -shm) with no process
// having it open, or with SQLite's own tools; copying the first one alone
// loses commits.
package sqlite
