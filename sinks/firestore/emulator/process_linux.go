package emulator

import (
	"os"
	"syscall"
)

// attributes has the kernel kill the emulator if this process dies, and lets
// kill reach its children if java is a script.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func kill(p *os.Process) {
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL) // an error says that it has ended already
}
