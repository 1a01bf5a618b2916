package main

import (
	"time"

	"github.com/IBM/sarama"
	"ringmain.tests/clients/records"
)

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

var acks = map[string]sarama.RequiredAcks{"all": sarama.WaitForAll, "1": sarama.WaitForLocal, "0": sarama.NoResponse}

func encoder(value []byte) sarama.Encoder {
	if value == nil {
		return nil
	}
	return sarama.ByteEncoder(value)
}

func write(config *sarama.Config, broker, topic string, lines [][]byte, partitions int, codec, level, idempotent string) {
	config.Producer.Compression = codecs[codec]
	config.Producer.RequiredAcks = acks[level]
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Flush.Frequency = 20 * time.Millisecond
	config.Producer.Return.Successes = true
	if idempotent == "true" {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
	}
	producer, err := sarama.NewAsyncProducer([]string{broker}, config)
	records.Must(err)
	done := make(chan struct{})
	go func() {
		for range lines {
			select {
			case <-producer.Successes():
			case failure := <-producer.Errors():
				records.Must(failure)
			}
		}
		close(done)
	}()
	for index, line := range lines {
		want := records.Of(index, line, partitions)
		message := &sarama.ProducerMessage{
			Topic: topic, Partition: want.Partition, Key: encoder(want.Key), Value: encoder(want.Value),
			Timestamp: time.UnixMilli(want.TimestampMs),
		}
		for _, header := range want.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value})
		}
		producer.Input() <- message
	}
	<-done
	records.Must(producer.Close())
}

func recordOf(got *sarama.ConsumerMessage) records.Record {
	record := records.Record{Partition: got.Partition, Key: got.Key, Value: got.Value, TimestampMs: got.Timestamp.UnixMilli()}
	for _, header := range got.Headers {
		record.Headers = append(record.Headers, records.Header{Key: string(header.Key), Value: header.Value})
	}
	return record
}

func read(config *sarama.Config, broker, topic string, lines [][]byte, partitions int) {
	consumer, err := sarama.NewConsumer([]string{broker}, config)
	records.Must(err)
	messages := make(chan *sarama.ConsumerMessage)
	for partition := range int32(partitions) {
		reader, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
		records.Must(err)
		go func() {
			for message := range reader.Messages() {
				messages <- message
			}
		}()
	}
	reader := records.NewReader(lines, partitions)
	for !reader.Done() {
		message := <-messages
		reader.Take(message.Offset, recordOf(message))
	}
}

// positions: offsets by time, starts in the middle of batches, watermarks, a pause. The topic holds what write wrote.
func positions(config *sarama.Config, broker, topic string, lines, partitions int) {
	client, err := sarama.NewClient([]string{broker}, config)
	records.Must(err)
	consumer, err := sarama.NewConsumerFromClient(client)
	records.Must(err)
	isAt := func(partition int32, asked, want int64) {
		offset, err := client.GetOffset(topic, partition, asked)
		records.Must(err)
		records.Check(offset == want, "partition %d at %d: %d instead of %d", partition, asked, offset, want)
	}
	for partition := range int32(partitions) {
		count := int64((lines - int(partition) + partitions - 1) / partitions)
		isAt(partition, sarama.OffsetOldest, 0)
		isAt(partition, sarama.OffsetNewest, count)
		for _, offset := range []int64{0, 1, count / 3, count/2 + 1, count - 1} {
			time := records.FirstTimestampMs + offset*int64(partitions) + int64(partition)
			isAt(partition, time, offset)
			isAt(partition, time-int64(partitions)+1, offset)
			reader, err := consumer.ConsumePartition(topic, partition, offset)
			records.Must(err)
			first := <-reader.Messages()
			records.Check(first.Offset == offset, "offset %d instead of %d", first.Offset, offset)
			if offset == 1 {
				pause(reader)
			}
			records.Must(reader.Close())
		}
	}
}

// pause: after what was fetched already, nothing comes until the reader is resumed.
func pause(reader sarama.PartitionConsumer) {
	reader.Pause()
	next := int64(2)
	for quiet := false; !quiet; {
		select {
		case message := <-reader.Messages():
			records.Check(message.Offset == next, "offset %d instead of %d", message.Offset, next)
			next++
		case <-time.After(300 * time.Millisecond):
			quiet = true
		}
	}
	if next >= reader.HighWaterMarkOffset() {
		return
	}
	reader.Resume()
	message := <-reader.Messages()
	records.Check(message.Offset == next, "offset %d instead of %d after the pause", message.Offset, next)
}
