package main

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"ringmain.tests/clients/records"
)

// ofEach is how many records each of the two partitions gets.
const ofEach = 100

// group: a consumer lives three times in a group of the topic's name, and commits in three ways; each life must go on
// exactly where the one before committed. Then the admin calls about groups.
func group(ctx context.Context, broker, topic string) {
	client := open(broker, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	admin := kadm.NewClient(client)
	defer admin.Close()
	_, err := admin.CreateTopic(ctx, 2, 1, nil, topic)
	records.Must(err)
	for i := range 2 * ofEach {
		client.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(i % 2), Value: []byte{byte(i)}}, func(_ *kgo.Record, err error) { records.Must(err) })
	}
	records.Must(client.Flush(ctx))

	consumed := map[int32]int64{}
	life(ctx, broker, topic, consumed, ofEach/2, []kgo.Opt{kgo.DisableAutoCommit()}, func(consumer *kgo.Client) {
		records.Must(consumer.CommitUncommittedOffsets(ctx))
		whileStable(ctx, admin, topic)
	})
	committed(ctx, admin, topic, consumed)
	life(ctx, broker, topic, consumed, ofEach/2, []kgo.Opt{kgo.DisableAutoCommit()}, func(consumer *kgo.Client) {
		done := make(chan error, 1)
		consumer.CommitOffsets(ctx, consumer.UncommittedOffsets(), func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			for _, topic := range answer.Topics {
				for _, partition := range topic.Partitions {
					records.Must(kerr.ErrorForCode(partition.ErrorCode))
				}
			}
			done <- err
		})
		records.Must(<-done)
	})
	committed(ctx, admin, topic, consumed)
	life(ctx, broker, topic, consumed, 1, []kgo.Opt{kgo.AutoCommitInterval(200 * time.Millisecond), kgo.AutoCommitMarks()}, func(*kgo.Client) {})
	committed(ctx, admin, topic, consumed)
	whenEmpty(ctx, admin, topic)
}

// life joins the group, checks that it goes on at what was consumed, reads at least so many records more, and leaves.
func life(ctx context.Context, broker, topic string, consumed map[int32]int64, atLeast int, options []kgo.Opt, then func(*kgo.Client)) {
	consumer := open(broker, append(options, kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.Balancers(kgo.RangeBalancer()), kgo.HeartbeatInterval(500*time.Millisecond))...)
	for read := 0; read < atLeast; {
		fetches := consumer.PollRecords(ctx, 20)
		fetches.EachError(func(topic string, partition int32, err error) {
			records.Check(false, "%s-%d: %v", topic, partition, err)
		})
		for _, record := range fetches.Records() {
			want := consumed[record.Partition]
			records.Check(record.Offset == want, "partition %d: offset %d instead of %d", record.Partition, record.Offset, want)
			consumed[record.Partition]++
			read++
			consumer.MarkCommitRecords(record)
		}
	}
	then(consumer)
	records.Must(consumer.LeaveGroupContext(ctx))
	consumer.Close()
}

func committed(ctx context.Context, admin *kadm.Client, group string, want map[int32]int64) {
	offsets, err := admin.FetchOffsets(ctx, group)
	records.Must(err)
	for partition, offset := range want {
		found, has := offsets.Lookup(group, partition)
		records.Check(has && found.Err == nil && found.At == offset, "partition %d: committed %v instead of %d", partition, found, offset)
	}
}

func whileStable(ctx context.Context, admin *kadm.Client, group string) {
	described := describe(ctx, admin, group)
	records.Check(described.State == "Stable" && described.ProtocolType == "consumer" && described.Protocol == "range", "described as %+v", described)
	records.Check(len(described.Members) == 1, "%d members", len(described.Members))
	assignment, ok := described.Members[0].Assigned.AsConsumer()
	records.Check(ok && len(assignment.Topics) == 1 && len(assignment.Topics[0].Partitions) == 2, "assigned %v", assignment)
	deleted, err := admin.DeleteGroups(ctx, group)
	records.Must(err)
	isError(deleted.Error(), kerr.NonEmptyGroup)
	removed, err := admin.DeleteOffsets(ctx, group, setOf(group, 0))
	records.Must(err)
	isError(removed.Error(), kerr.GroupSubscribedToTopic)
	lags, err := admin.Lag(ctx, group)
	records.Must(err)
	records.Must(lags.Error())
	lag := lags[group]
	records.Check(lag.Lag.Total() > 0 && lag.Lag.Total() <= ofEach*3/2, "the lag is %d", lag.Lag.Total())
}

func describe(ctx context.Context, admin *kadm.Client, group string) kadm.DescribedGroup {
	described, err := admin.DescribeGroups(ctx, group)
	records.Must(err)
	return described[group]
}

func setOf(topic string, partitions ...int32) kadm.TopicsSet {
	set := kadm.TopicsSet{}
	set.Add(topic, partitions...)
	return set
}

func whenEmpty(ctx context.Context, admin *kadm.Client, group string) {
	listed, err := admin.ListGroups(ctx)
	records.Must(err)
	records.Check(listed[group].ProtocolType == "consumer" && listed[group].State == "Empty", "listed as %v", listed[group])
	listed, err = admin.ListGroups(ctx, "Stable")
	records.Must(err)
	records.Check(!slices.Contains(listed.Groups(), group), "an empty group is listed as a stable one")
	records.Check(describe(ctx, admin, group).State == "Empty", "described as %v", describe(ctx, admin, group))

	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: group, Partition: 0, At: 5, LeaderEpoch: -1, Metadata: "set by hand"})
	records.Must(admin.CommitAllOffsets(ctx, group, offsets))
	fetched, err := admin.FetchOffsets(ctx, group)
	records.Must(err)
	found, _ := fetched.Lookup(group, 0)
	records.Check(found.At == 5 && found.Metadata == "set by hand", "committed %v", found)

	removed, err := admin.DeleteOffsets(ctx, group, setOf(group, 0))
	records.Must(err)
	records.Must(removed.Error())
	fetched, err = admin.FetchOffsets(ctx, group)
	records.Must(err)
	_, has := fetched.Lookup(group, 0)
	_, other := fetched.Lookup(group, 1)
	records.Check(!has && other, "the offsets are %v", fetched)

	deleted, err := admin.DeleteGroups(ctx, group)
	records.Must(err)
	records.Must(deleted.Error())
	deleted, err = admin.DeleteGroups(ctx, group)
	records.Must(err)
	isError(deleted.Error(), kerr.GroupIDNotFound)
	listed, err = admin.ListGroups(ctx)
	records.Must(err)
	_, has = listed[group]
	records.Check(!has, "a deleted group is listed")
	fetched, err = admin.FetchOffsets(ctx, group)
	records.Must(err)
	records.Check(len(fetched) == 0, "a deleted group has the offsets %v", fetched)
}
