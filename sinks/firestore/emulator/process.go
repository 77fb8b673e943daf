package emulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// JarVariable names the environment variable that says where the emulator's
// jar is, if it is not where Google's installers put it.
const JarVariable = "CIS_FIRESTORE_EMULATOR_JAR"

const inSDK = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"

// A missingError says what to install.
type missingError struct{ text string }

func (e *missingError) Error() string { return e.text }

// find returns the paths of Java and of the emulator's jar.
func find(ctx context.Context) (java, jar string, err error) {
	java = filepath.Join(os.Getenv("JAVA_HOME"), "bin", "java")
	if os.Getenv("JAVA_HOME") == "" || !isFile(java) {
		if java, err = exec.LookPath("java"); err != nil {
			return "", "", &missingError{"java is not installed (Debian: apt-get install default-jre-headless)"}
		}
	}
	if jar = os.Getenv(JarVariable); jar != "" {
		if !isFile(jar) {
			return "", "", &missingError{JarVariable + " names no file: " + jar}
		}
		return java, jar, nil
	}
	gcloud, _ := exec.LookPath("gcloud") // "" if there is none
	for _, root := range roots(gcloud) {
		if jar = filepath.Join(root, inSDK); isFile(jar) {
			return java, jar, nil
		}
	}
	if gcloud != "" { // it knows best, but takes a second to say so
		root, err := exec.CommandContext(ctx, gcloud, "info", "--format=value(installation.sdk_root)").Output()
		if jar = filepath.Join(string(bytes.TrimSpace(root)), inSDK); err == nil && isFile(jar) {
			return java, jar, nil
		}
	}
	return "", "", &missingError{"the Firestore emulator is not installed (gcloud components install cloud-firestore-emulator," +
		" or of Google's Debian packages google-cloud-cli-firestore-emulator)"}
}

// roots returns where an SDK may be.
func roots(gcloud string) []string {
	var dirs []string
	if path, err := filepath.EvalSymlinks(gcloud); gcloud != "" && err == nil {
		dirs = append(dirs, filepath.Dir(filepath.Dir(path)))
	}
	dirs = append(dirs, "/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk", "/opt/google-cloud-sdk")
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, "google-cloud-sdk"))
	}
	return dirs
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// A process is an emulator that this process started.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	said tail
}

// run starts an emulator, waits until it answers and returns its address.
func run(ctx context.Context, java, jar string) (*process, string, error) {
	for try := 1; ; try++ {
		port, err := freePort()
		if err != nil {
			return nil, "", err
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		// Like Google's script, which says that messages are to be English.
		p, err := launch(exec.Command(java, "-Xmx4g", "-Duser.language=en", "-cp", jar,
			"com.google.cloud.datastore.emulator.firestore.CloudFirestore", "start",
			"--host=127.0.0.1", fmt.Sprintf("--port=%d", port)))
		if err != nil {
			return nil, "", err
		}
		if err = p.ready(ctx, addr); err == nil {
			return p, addr, nil
		}
		p.kill()
		if try == 3 || !errors.Is(err, errEnded) { // somebody else may have taken the port meanwhile
			return nil, "", fmt.Errorf("%w:\n%s", err, p.said.since(0))
		}
	}
}

var errEnded = errors.New("the Firestore emulator ended")

func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	cmd.WaitDelay = time.Second // its children may hold on to its output
	cmd.SysProcAttr = attributes()
	started := make(chan error, 1)
	go func() {
		// Linux takes the end of the thread that started a process for the
		// end of its parent, so this one must stay as long as the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // an error says that it was killed
			close(p.done)
		}
	}()
	return p, <-started
}

// ready waits until the emulator listens at addr.
func (p *process) ready(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		select {
		case <-p.done:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("the Firestore emulator does not listen at %s: %w", addr, context.Cause(ctx))
		case <-time.After(wait): // between two attempts
		}
		// Another emulator may have taken the port. This one tells people its
		// address when it has it.
		if answers(ctx, addr) == nil && bytes.Contains(p.said.since(0), []byte(addr)) {
			return nil
		}
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends the emulator at once, for it has nothing to save. It may be called
// twice.
func (p *process) kill() {
	if !p.ended() {
		kill(p.cmd.Process)
	}
	<-p.done
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu      sync.Mutex
	text    []byte
	dropped int // how much there was before text
}

const tailSize = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
		t.dropped += over
	}
	return len(b), nil
}

// mark returns how much has been written.
func (t *tail) mark() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped + len(t.text)
}

// since returns what was written after a mark, as far as it is there still.
func (t *tail) since(mark int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.text[max(0, mark-t.dropped):])
}
