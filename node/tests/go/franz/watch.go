package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"ringmain.tests/clients/records"
)

// watch asks again and again for the committed offsets of a group, until the file STOP is there: GROUP TOPIC STOP. They may
// never go back, and an offset that was there must stay.
func watch(broker string, words []string) {
	group, topic, stop := words[0], words[1], words[2]
	admin := kadm.NewClient(open(broker, kgo.MetadataMinAge(100*time.Millisecond), kgo.RetryTimeout(time.Second)))
	defer admin.Close()
	seen := map[int32]int64{}
	answers := 0
	for last := false; !last; time.Sleep(50 * time.Millisecond) {
		last = exists(stop)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		offsets, err := admin.FetchOffsets(ctx, group)
		cancel()
		if err != nil {
			continue // The node is down, or just starts.
		}
		answers++
		for partition, before := range seen {
			now, has := offsets.Lookup(topic, partition)
			records.Check(has, "partition %d had the committed offset %d, and has none", partition, before)
			records.Check(now.Err != nil || now.At >= before, "partition %d: committed %d after %d", partition, now.At, before)
		}
		for partition, now := range offsets[topic] {
			if now.Err == nil {
				seen[partition] = now.At
			}
		}
	}
	records.Check(answers > 20 && len(seen) > 0, "only %d answers, %v", answers, seen)
	fmt.Println(answers, "answers; at last", seen)
}
