package main

type vaultCommands struct {
	Check vaultCheckCommand `cmd:"" help:"Find what is wrong in a vault, and mend it."`
	Copy  vaultCopyCommand  `cmd:"" help:"Copy all of a vault into an empty one, of another kind or the same."`
}
