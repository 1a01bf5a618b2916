package main

import (
	"errors"

	"github.com/IBM/sarama"
	"ringmain.tests/clients/records"
)

func isError(err, want error) {
	records.Check(errors.Is(err, want), "%v instead of %v", err, want)
}

func text(value string) *string { return &value }

// admin makes the calls of sarama's admin about the cluster and one topic, as far as its version of the protocol has them.
func admin(config *sarama.Config, broker, topic string) {
	admin, err := sarama.NewClusterAdmin([]string{broker}, config)
	records.Must(err)
	brokers, _, err := admin.DescribeCluster()
	records.Must(err)
	records.Check(len(brokers) == 1, "%d brokers", len(brokers))

	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": text("86400000")}}
	records.Must(admin.CreateTopic(topic, detail, false))
	isError(admin.CreateTopic(topic, detail, false), sarama.ErrTopicAlreadyExists)
	isError(admin.CreateTopic(topic+"-3", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 3}, false), sarama.ErrInvalidReplicationFactor)
	partitions := func() int {
		topics, err := admin.DescribeTopics([]string{topic})
		records.Must(err)
		return len(topics[0].Partitions)
	}
	records.Await("two partitions", func() bool { return partitions() == 2 })
	if config.Version.IsAtLeast(sarama.V1_0_0_0) {
		records.Must(admin.CreatePartitions(topic, 4, nil, false))
		records.Await("four partitions", func() bool { return partitions() == 4 })
	}
	// Before 1.1 it asks in version 0 of DescribeConfigs, which no broker of the fourth series has.
	if config.Version.IsAtLeast(sarama.V1_1_0_0) {
		topics, err := admin.ListTopics()
		records.Must(err)
		records.Check(topics[topic].NumPartitions == 4, "listed as %v", topics[topic])
		configs(config, admin, topic)
	}
	deleteRecords(config, admin, broker, topic)
	records.Must(admin.DeleteTopic(topic))
	records.Await("the deletion", func() bool {
		topics, err := admin.DescribeTopics([]string{topic})
		records.Must(err)
		return errors.Is(topics[0].Err, sarama.ErrUnknownTopicOrPartition)
	})
	isError(admin.DeleteTopic(topic), sarama.ErrUnknownTopicOrPartition)
	records.Must(admin.Close())
}

func configs(config *sarama.Config, admin sarama.ClusterAdmin, topic string) {
	is := func(name, want string) bool {
		entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
		records.Must(err)
		for _, entry := range entries {
			if entry.Name == name {
				return entry.Value == want
			}
		}
		return false
	}
	records.Check(is("retention.ms", "86400000"), "the config of the creation")
	records.Must(admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"segment.bytes": text("1048576")}, false))
	records.Await("a change of the whole", func() bool { return is("segment.bytes", "1048576") && is("retention.ms", "604800000") })
	if !config.Version.IsAtLeast(sarama.V2_3_0_0) {
		return
	}
	records.Must(admin.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: text("3600000")},
	}, false))
	records.Await("an incremental change", func() bool { return is("segment.bytes", "1048576") && is("retention.ms", "3600000") })
}

func deleteRecords(config *sarama.Config, admin sarama.ClusterAdmin, broker, topic string) {
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	client, err := sarama.NewClient([]string{broker}, config)
	records.Must(err)
	producer, err := sarama.NewSyncProducerFromClient(client)
	records.Must(err)
	for i := range int64(10) {
		_, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("a record")})
		records.Must(err)
		records.Check(offset == i, "stored at %d instead of %d", offset, i)
	}
	records.Must(admin.DeleteRecords(topic, map[int32]int64{0: 4}))
	start, err := client.GetOffset(topic, 0, sarama.OffsetOldest)
	records.Must(err)
	records.Check(start == 4, "the log starts at %d", start)
	if !config.Version.IsAtLeast(sarama.V2_0_0_0) {
		return // It would ask in version 0, which no broker of the fourth series has.
	}
	folders, err := admin.DescribeLogDirs([]int32{client.Brokers()[0].ID()})
	records.Must(err)
	for _, of := range folders {
		records.Check(len(of) > 0 && errors.Is(of[0].ErrorCode, sarama.ErrNoError), "the folders are %v", of)
	}
}
