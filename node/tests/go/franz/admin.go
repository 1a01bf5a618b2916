package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"ringmain.tests/clients/records"
)

func isError(err error, want *kerr.Error) {
	records.Check(errors.Is(err, want), "%v instead of %v", err, want)
}

// admin makes the calls of kadm about the cluster and one topic, with their usual results and their usual errors.
func admin(ctx context.Context, broker, topic string) {
	client := open(broker, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	admin := kadm.NewClient(client)
	defer admin.Close()
	cluster(ctx, admin)
	create(ctx, admin, topic)
	configs(ctx, admin, topic)
	for i := range 10 {
		records.Must(client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte{byte(i)}}).FirstErr())
	}
	logs(ctx, admin, topic)
	remove(ctx, admin, topic)
}

func cluster(ctx context.Context, admin *kadm.Client) {
	metadata, err := admin.BrokerMetadata(ctx)
	records.Must(err)
	records.Check(len(metadata.Brokers) == 1 && metadata.Cluster != "", "the cluster is %v", metadata)
	versions, err := admin.ApiVersions(ctx)
	records.Must(err)
	records.Check(len(versions) == 1, "versions of %d brokers", len(versions))
	versions.Each(func(of kadm.BrokerApiVersions) { records.Must(of.Err) })
}

func create(ctx context.Context, admin *kadm.Client, topic string) {
	retention := "86400000"
	_, err := admin.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": &retention}, topic)
	records.Must(err)
	_, err = admin.CreateTopic(ctx, 2, 1, nil, topic)
	isError(err, kerr.TopicAlreadyExists)
	_, err = admin.CreateTopic(ctx, 1, 3, nil, topic+"-3")
	isError(err, kerr.InvalidReplicationFactor)
	_, err = admin.CreateTopic(ctx, 1, 1, nil, "no/name")
	isError(err, kerr.InvalidTopicException)
	records.Await("two partitions", func() bool { return partitionsOf(ctx, admin, topic) == 2 })
	grown, err := admin.CreatePartitions(ctx, 2, topic)
	records.Must(err)
	records.Must(grown.Error())
	records.Await("four partitions", func() bool { return partitionsOf(ctx, admin, topic) == 4 })
	shrunk, err := admin.UpdatePartitions(ctx, 3, topic)
	records.Must(err)
	isError(shrunk.Error(), kerr.InvalidPartitions)
}

func partitionsOf(ctx context.Context, admin *kadm.Client, topic string) int {
	topics, err := admin.ListTopics(ctx, topic)
	records.Must(err)
	return len(topics[topic].Partitions)
}

func configs(ctx context.Context, admin *kadm.Client, topic string) {
	is := func(key, want string) bool {
		described, err := admin.DescribeTopicConfigs(ctx, topic)
		records.Must(err)
		config, err := described.On(topic, nil)
		records.Must(err)
		for _, entry := range config.Configs {
			if entry.Key == key {
				return entry.MaybeValue() == want
			}
		}
		return false
	}
	records.Check(is("retention.ms", "86400000"), "the config of the creation")
	size := "1048576"
	change := func(alter func(context.Context, []kadm.AlterConfig, ...string) (kadm.AlterConfigsResponses, error), changes ...kadm.AlterConfig) error {
		altered, err := alter(ctx, changes, topic)
		records.Must(err)
		of, err := altered.On(topic, nil)
		records.Must(err)
		return of.Err
	}
	records.Must(change(admin.AlterTopicConfigs, kadm.AlterConfig{Op: kadm.SetConfig, Name: "segment.bytes", Value: &size},
		kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"}))
	records.Await("an incremental change", func() bool { return is("segment.bytes", size) && is("retention.ms", "604800000") })
	wrong := "x"
	isError(change(admin.AlterTopicConfigs, kadm.AlterConfig{Op: kadm.SetConfig, Name: "segment.bytes", Value: &wrong}), kerr.InvalidConfig)
	// The old call sets the whole state: what is not named goes back to its default.
	retention := "3600000"
	records.Must(change(admin.AlterTopicConfigsState, kadm.AlterConfig{Name: "retention.ms", Value: &retention}))
	records.Await("a change of the whole", func() bool { return is("retention.ms", retention) && is("segment.bytes", "1073741824") })
}

// logs: deletion of records, folders, producers. Partition 0 holds ten records of an idempotent producer.
func logs(ctx context.Context, admin *kadm.Client, topic string) {
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 4, -1)
	deleted, err := admin.DeleteRecords(ctx, offsets)
	records.Must(err)
	records.Must(deleted.Error())
	low, _ := deleted.Lookup(topic, 0)
	records.Check(low.LowWatermark == 4, "the low watermark is %d", low.LowWatermark)
	starts, err := admin.ListStartOffsets(ctx, topic)
	records.Must(err)
	start, _ := starts.Lookup(topic, 0)
	records.Check(start.Offset == 4, "the log starts at %d", start.Offset)
	offsets.AddOffset(topic, 0, 11, -1)
	deleted, err = admin.DeleteRecords(ctx, offsets)
	records.Must(err)
	isError(deleted.Error(), kerr.OffsetOutOfRange)

	folders, err := admin.DescribeAllLogDirs(ctx, nil)
	records.Must(err)
	found := false
	folders.Each(func(folder kadm.DescribedLogDir) {
		records.Must(folder.Err)
		partition, has := folder.Topics.Lookup(topic, 0)
		found = found || has && partition.Size > 0
	})
	records.Check(found, "no folder holds the partition: %v", folders)

	set := kadm.TopicsSet{}
	set.Add(topic, 0)
	producers, err := admin.DescribeProducers(ctx, set)
	records.Must(err)
	described := 0
	producers.EachPartition(func(partition kadm.DescribedProducersPartition) {
		records.Must(partition.Err)
		partition.ActiveProducers.Each(func(producer kadm.DescribedProducer) {
			records.Check(producer.LastSequence == 9, "its last sequence number is %d", producer.LastSequence)
			described++
		})
	})
	records.Check(described == 1, "%d producers", described)
}

func remove(ctx context.Context, admin *kadm.Client, topic string) {
	deleted, err := admin.DeleteTopics(ctx, topic)
	records.Must(err)
	records.Must(deleted.Error())
	records.Await("the deletion", func() bool {
		topics, err := admin.ListTopics(ctx)
		records.Must(err)
		return !topics.Has(topic)
	})
	deleted, err = admin.DeleteTopics(ctx, topic)
	records.Must(err)
	isError(deleted.Error(), kerr.UnknownTopicOrPartition)
}
