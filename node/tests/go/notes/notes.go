// Package notes writes down what a member of a group lives through, one line an event, for the test to judge. Each line is
// on its way to the file before the next thing happens, so that nothing is lost when the member is killed. The grammar is
// in support/members.rs.
package notes

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"ringmain.tests/clients/records"
)

// Notes is the open file.
type Notes struct {
	mutex sync.Mutex
	file  *os.File
}

// Open continues a file of notes.
func Open(path string) *Notes {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	records.Must(err)
	return &Notes{file: file}
}

func (notes *Notes) line(format string, arguments ...any) {
	notes.mutex.Lock()
	defer notes.mutex.Unlock()
	_, err := fmt.Fprintf(notes.file, "%d %s\n", time.Now().UnixMilli(), fmt.Sprintf(format, arguments...))
	records.Must(err)
}

// Assigned partitions came to this member in a generation.
func (notes *Notes) Assigned(generation int32, partitions []int32) {
	notes.line("assigned %d %s", generation, list(partitions))
}

// Revoked partitions were given up.
func (notes *Notes) Revoked(partitions []int32) {
	notes.line("revoked %s", list(partitions))
}

// Record was read.
func (notes *Notes) Record(partition int32, offset int64, value []byte) {
	notes.line("record %d %d %s", partition, offset, value)
}

// Committing is about to be asked for: the next offset of a partition.
func (notes *Notes) Committing(partition int32, offset int64) {
	notes.line("committing %d %d", partition, offset)
}

// Committed was answered without an error.
func (notes *Notes) Committed(partition int32, offset int64) {
	notes.line("committed %d %d", partition, offset)
}

// Said is anything worth reading when a test fails.
func (notes *Notes) Said(format string, arguments ...any) {
	notes.line("said %s", strings.ReplaceAll(fmt.Sprintf(format, arguments...), "\n", " "))
}

func list(partitions []int32) string {
	if len(partitions) == 0 {
		return "-"
	}
	sort.Slice(partitions, func(i, j int) bool { return partitions[i] < partitions[j] })
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(partitions), " ", ","), "[]")
}
