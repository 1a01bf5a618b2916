// Package records foretells the record that is made of each line of a file, by the rules of python/exchange.py, so that
// any client's program can check what any other wrote.
package records

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

const dayMs = 86_400_000

// FirstTimestampMs is the time of the first record: fixed for a day, so that a reader in another process knows it, and
// recent enough for any retention.
var FirstTimestampMs = time.Now().UnixMilli()/dayMs*dayMs - dayMs

// Header is one header of a record; a nil value is a null one.
type Header struct {
	Key   string
	Value []byte
}

// Record is all that a reader can see of a record, but for its offset.
type Record struct {
	Partition   int32
	Key, Value  []byte
	Headers     []Header
	TimestampMs int64
}

// Lines of a file, without their ends.
func Lines(path string) [][]byte {
	text, err := os.ReadFile(path)
	Must(err)
	lines := bytes.Split(text, []byte{'\n'})
	return lines[:len(lines)-1]
}

// Of is the record made of a line.
func Of(index int, line []byte, partitions int) Record {
	record := Record{Partition: int32(index % partitions), Value: line, TimestampMs: FirstTimestampMs + int64(index)}
	if index%7 != 0 {
		record.Key = []byte("key-" + strconv.Itoa(index))
	}
	if index%101 == 100 {
		record.Value = nil
	}
	if index%5 == 0 {
		record.Headers = []Header{{"line", []byte(strconv.Itoa(index))}, {"empty", []byte{}}, {"null", nil}}
	}
	return record
}

// Reader checks the records of a topic one by one, in any order of partitions.
type Reader struct {
	lines [][]byte
	next  []int64
	read  int
}

// NewReader expects the records of all the lines.
func NewReader(lines [][]byte, partitions int) *Reader {
	return &Reader{lines: lines, next: make([]int64, partitions)}
}

// Take checks the next record of a partition.
func (reader *Reader) Take(offset int64, got Record) {
	next := &reader.next[got.Partition]
	Check(offset == *next, "partition %d: offset %d instead of %d", got.Partition, offset, *next)
	index := int(offset)*len(reader.next) + int(got.Partition)
	Check(index < len(reader.lines), "partition %d holds more than was written", got.Partition)
	want := Of(index, reader.lines[index], len(reader.next))
	Check(same(got, want), "record %d differs: %.200s instead of %.200s", index, fmt.Sprint(got), fmt.Sprint(want))
	*next++
	reader.read++
}

// Done says whether every record was taken.
func (reader *Reader) Done() bool {
	return reader.read == len(reader.lines)
}

func same(left, right Record) bool {
	if len(left.Headers) != len(right.Headers) {
		return false
	}
	for i, header := range left.Headers {
		if header.Key != right.Headers[i].Key || !sameBytes(header.Value, right.Headers[i].Value) {
			return false
		}
	}
	return left.Partition == right.Partition && left.TimestampMs == right.TimestampMs &&
		sameBytes(left.Key, right.Key) && sameBytes(left.Value, right.Value)
}

// Null is not the same as no bytes.
func sameBytes(left, right []byte) bool {
	return (left == nil) == (right == nil) && bytes.Equal(left, right)
}

// Check ends the program with the sentence if what must hold does not.
func Check(holds bool, otherwise string, arguments ...any) {
	if !holds {
		fmt.Fprintf(os.Stderr, otherwise+"\n", arguments...)
		os.Exit(1)
	}
}

// Must ends the program at an error; the panic shows where it was.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Await waits until something holds that becomes visible a moment after it was answered.
func Await(what string, holds func() bool) {
	for deadline := time.Now().Add(15 * time.Second); !holds(); time.Sleep(100 * time.Millisecond) {
		Check(time.Now().Before(deadline), "%s: not seen", what)
	}
}

// Number of an argument.
func Number(text string) int {
	number, err := strconv.Atoi(text)
	Must(err)
	return number
}
