package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"ringmain.tests/clients/notes"
	"ringmain.tests/clients/records"
)

var balancers = map[string]kgo.GroupBalancer{
	"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(),
}

// member reads in a group and commits after each poll, until the file STOP is there: GROUP TOPIC NOTES STOP ASSIGNOR
// SESSION_MS [INSTANCE].
func member(broker string, words []string) {
	group, topic, written, stop := words[0], words[1], notes.Open(words[2]), words[3]
	session := time.Duration(records.Number(words[5])) * time.Millisecond
	options := []kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(balancers[words[4]]), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(session), kgo.HeartbeatInterval(session / 12),
		kgo.RebalanceTimeout(2 * session), kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.MetadataMinAge(100 * time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
		kgo.OnPartitionsAssigned(func(_ context.Context, client *kgo.Client, of map[string][]int32) {
			_, generation := client.GroupMetadata()
			written.Assigned(generation, of[topic])
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, of map[string][]int32) { written.Revoked(of[topic]) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, of map[string][]int32) { written.Revoked(of[topic]) }),
	}
	if len(words) > 6 {
		options = append(options, kgo.InstanceID(words[6]))
	}
	client := open(broker, options...)
	for !exists(stop) {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		fetches := client.PollRecords(ctx, 100)
		cancel()
		fetches.EachError(func(_ string, partition int32, err error) {
			if !errors.Is(err, context.DeadlineExceeded) {
				written.Said("partition %d: %v", partition, err)
			}
		})
		commit(client, written, fetches.Records())
		client.AllowRebalance()
	}
	// A static member does not leave by closing: its place is kept for it.
	client.CloseAllowingRebalance()
	written.Said("closed")
}

func commit(client *kgo.Client, written *notes.Notes, batch []*kgo.Record) {
	next := map[int32]int64{}
	for _, record := range batch {
		written.Record(record.Partition, record.Offset, record.Value)
		next[record.Partition] = record.Offset + 1
	}
	if len(batch) == 0 {
		return
	}
	for partition, offset := range next {
		written.Committing(partition, offset)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := client.CommitRecords(ctx, batch...); err != nil {
		written.Said("commit: %v", err)
		return
	}
	for partition, offset := range next {
		written.Committed(partition, offset)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
