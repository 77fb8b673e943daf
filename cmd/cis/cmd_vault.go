package main

type vaultCommands struct {
	Erase vaultEraseCommand `cmd:"" help:"Take a person out for good."`
}
