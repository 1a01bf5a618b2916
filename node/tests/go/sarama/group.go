package main

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"ringmain.tests/clients/records"
)

// ofEach is how many records each of the two partitions gets.
const ofEach = 100

// life is one time that a consumer lives in the group: it goes on at what was consumed before, reads so many records of
// each partition, and then says that it has had enough.
type life struct {
	mutex     sync.Mutex
	consumed  map[int32]int64
	until     int64
	committed func(sarama.ConsumerGroupSession)
	enough    context.CancelFunc
}

func (*life) Setup(session sarama.ConsumerGroupSession) error {
	records.Check(session.GenerationID() > 0, "generation %d", session.GenerationID())
	return nil
}

func (*life) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (life *life) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message := <-claim.Messages():
			if message == nil || life.take(session, message) {
				<-session.Context().Done()
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

// take is true when this partition has had enough.
func (life *life) take(session sarama.ConsumerGroupSession, message *sarama.ConsumerMessage) bool {
	life.mutex.Lock()
	defer life.mutex.Unlock()
	want := life.consumed[message.Partition]
	records.Check(message.Offset == want, "partition %d: offset %d instead of %d", message.Partition, message.Offset, want)
	life.consumed[message.Partition]++
	session.MarkMessage(message, "")
	for partition := range int32(2) {
		if life.consumed[partition] < life.until {
			return life.consumed[message.Partition] == life.until
		}
	}
	life.committed(session)
	life.enough()
	return true
}

// group: a consumer lives three times in a group of the topic's name, commits by request and by itself; each life must go
// on exactly where the one before committed. Then the admin calls about groups.
func group(config *sarama.Config, broker, topic string) {
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	client, err := sarama.NewClient([]string{broker}, config)
	records.Must(err)
	admin, err := sarama.NewClusterAdminFromClient(client)
	records.Must(err)
	records.Must(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false))
	producer, err := sarama.NewSyncProducerFromClient(client)
	records.Must(err)
	for i := range int32(2 * ofEach) {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Partition: i % 2, Value: sarama.ByteEncoder{byte(i)}})
		records.Must(err)
	}
	consumed := map[int32]int64{}
	config.Consumer.Offsets.AutoCommit.Enable = false
	live(config, broker, topic, consumed, 30, func(session sarama.ConsumerGroupSession) {
		session.Commit()
		whileStable(config, admin, topic)
	})
	committed(admin, topic, consumed)
	live(config, broker, topic, consumed, 60, func(session sarama.ConsumerGroupSession) { session.Commit() })
	committed(admin, topic, consumed)
	config.Consumer.Offsets.AutoCommit.Enable = true
	config.Consumer.Offsets.AutoCommit.Interval = 200 * time.Millisecond
	live(config, broker, topic, consumed, ofEach, func(sarama.ConsumerGroupSession) {})
	committed(admin, topic, consumed)
	whenEmpty(config, admin, topic)
}

func live(config *sarama.Config, broker, topic string, consumed map[int32]int64, until int64, committed func(sarama.ConsumerGroupSession)) {
	consumer, err := sarama.NewConsumerGroup([]string{broker}, topic, config)
	records.Must(err)
	ctx, enough := context.WithCancel(context.Background())
	defer enough()
	life := &life{consumed: consumed, until: until, committed: committed, enough: enough}
	for ctx.Err() == nil {
		records.Must(consumer.Consume(ctx, []string{topic}, life))
	}
	records.Must(consumer.Close())
}

func offsetsOf(admin sarama.ClusterAdmin, group string) map[int32]int64 {
	answer, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{group: {0, 1}})
	records.Must(err)
	offsets := map[int32]int64{}
	for partition, block := range answer.Blocks[group] {
		isError(block.Err, sarama.ErrNoError)
		offsets[partition] = block.Offset
	}
	return offsets
}

func committed(admin sarama.ClusterAdmin, group string, want map[int32]int64) {
	offsets := offsetsOf(admin, group)
	for partition, offset := range want {
		records.Check(offsets[partition] == offset, "partition %d: committed %d instead of %d", partition, offsets[partition], offset)
	}
}

func describe(admin sarama.ClusterAdmin, group string) *sarama.GroupDescription {
	described, err := admin.DescribeConsumerGroups([]string{group})
	records.Must(err)
	return described[0]
}

func whileStable(config *sarama.Config, admin sarama.ClusterAdmin, group string) {
	described := describe(admin, group)
	records.Check(described.State == "Stable" && described.ProtocolType == "consumer" && described.Protocol == "range", "described as %+v", described)
	records.Check(len(described.Members) == 1, "%d members", len(described.Members))
	for _, member := range described.Members {
		assignment, err := member.GetMemberAssignment()
		records.Must(err)
		records.Check(len(assignment.Topics[group]) == 2, "assigned %v", assignment)
		metadata, err := member.GetMemberMetadata()
		records.Must(err)
		records.Check(len(metadata.Topics) == 1 && metadata.Topics[0] == group, "subscribed to %v", metadata)
	}
	if config.Version.IsAtLeast(sarama.V1_1_0_0) {
		isError(admin.DeleteConsumerGroup(group), sarama.ErrNonEmptyGroup)
	}
}

func whenEmpty(config *sarama.Config, admin sarama.ClusterAdmin, group string) {
	listed, err := admin.ListConsumerGroups()
	records.Must(err)
	records.Check(listed[group] == "consumer", "listed as %q", listed[group])
	records.Check(describe(admin, group).State == "Empty", "described as %+v", describe(admin, group))
	if config.Version.IsAtLeast(sarama.V2_4_0_0) {
		records.Must(admin.DeleteConsumerGroupOffset(group, group, 0))
		records.Check(offsetsOf(admin, group)[0] == -1, "the offsets are %v", offsetsOf(admin, group))
	}
	if !config.Version.IsAtLeast(sarama.V1_1_0_0) {
		return // Groups could not be deleted before.
	}
	records.Must(admin.DeleteConsumerGroup(group))
	records.Check(describe(admin, group).State == "Dead", "described as %+v", describe(admin, group))
	records.Check(offsetsOf(admin, group)[1] == -1, "the offsets are %v", offsetsOf(admin, group))
}
