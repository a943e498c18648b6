package directory_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/realmgate/realmgate/host/directory"
)

// crashFile names the environment variable by which the test binary becomes the process that is killed.
const crashFile = "DIRECTORY_TEST_CRASH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		fmt.Println(writeForEver(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForEver tells the name of each principal once it is told that the principal is kept.
func writeForEver(path string) error {
	ctx := context.Background()
	d, err := directory.Open(ctx, directory.Config{Type: directory.TypeSQLite, Path: path})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		name := fmt.Sprint("p", i)
		if _, _, err := d.CreatePrincipal(ctx, "r", directory.NewPrincipal{Name: name}); err != nil {
			return err
		}
		fmt.Println(name)
	}
}

// TestSQLiteSurvivesAKill: what a process that is killed had been told is kept is kept, and the file is whole.
func TestSQLiteSurvivesAKill(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 10, 33} {
		path := filepath.Join(t.TempDir(), "directory.db")
		checkWhole(t, path, writeAndKill(t, path, after))
	}
}

func writeAndKill(t *testing.T, path string, after int) (kept int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashFile+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if got, want := lines.Text(), fmt.Sprint("p", kept); got != want {
			t.Fatalf("the writer said %q instead of %q", got, want)
		}
		if kept++; kept == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || kept < after {
		t.Fatalf("the writer ended after %d: %v", kept, err)
	}
	return kept
}

func checkWhole(t *testing.T, path string, kept int) {
	t.Helper()
	d, err := directory.Open(t.Context(), directory.Config{Type: directory.TypeSQLite, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for i := range kept {
		if _, err := d.GetPrincipal(t.Context(), "r", fmt.Sprint("p", i)); err != nil {
			t.Error(err)
		}
	}
	all, _, err := d.ListPrincipals(t.Context(), "r", directory.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	// Each change is kept with its count, or not at all.
	var counted int
	if err := db.QueryRow("SELECT epoch FROM realms WHERE name = 'r'").Scan(&counted); err != nil || counted != len(all) {
		t.Errorf("%d changes are counted, of %d principals: %v", counted, len(all), err)
	}
	var verdict string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("%q %v", verdict, err)
	}
}
