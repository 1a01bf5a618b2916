package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"ringmain.tests/clients/records"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

var acks = map[string]kgo.Acks{"all": kgo.AllISRAcks(), "1": kgo.LeaderAck(), "0": kgo.NoAck()}

func write(ctx context.Context, broker, topic string, lines [][]byte, partitions int, codec, level, idempotent string) {
	options := []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codecs[codec]),
		kgo.RequiredAcks(acks[level]), kgo.ProducerLinger(20 * time.Millisecond),
	}
	if idempotent != "true" {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	client := open(broker, options...)
	defer client.Close()
	for index, line := range lines {
		want := records.Of(index, line, partitions)
		record := &kgo.Record{
			Topic: topic, Partition: want.Partition, Key: want.Key, Value: want.Value,
			Timestamp: time.UnixMilli(want.TimestampMs),
		}
		for _, header := range want.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: header.Key, Value: header.Value})
		}
		client.Produce(ctx, record, func(_ *kgo.Record, err error) { records.Must(err) })
	}
	records.Must(client.Flush(ctx))
}

func recordOf(got *kgo.Record) records.Record {
	record := records.Record{
		Partition: got.Partition, Key: got.Key, Value: got.Value, TimestampMs: got.Timestamp.UnixMilli(),
	}
	for _, header := range got.Headers {
		record.Headers = append(record.Headers, records.Header{Key: header.Key, Value: header.Value})
	}
	return record
}

// assigned reads by hand: each partition from an offset.
func assigned(broker, topic string, offsets map[int32]kgo.Offset) *kgo.Client {
	return open(broker, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchMaxWait(100*time.Millisecond))
}

func poll(ctx context.Context, client *kgo.Client) []*kgo.Record {
	fetches := client.PollFetches(ctx)
	fetches.EachError(func(topic string, partition int32, err error) {
		records.Check(false, "%s-%d: %v", topic, partition, err)
	})
	return fetches.Records()
}

func read(ctx context.Context, broker, topic string, lines [][]byte, partitions int) {
	offsets := map[int32]kgo.Offset{}
	for partition := range int32(partitions) {
		offsets[partition] = kgo.NewOffset().AtStart()
	}
	client := assigned(broker, topic, offsets)
	defer client.Close()
	reader := records.NewReader(lines, partitions)
	for !reader.Done() {
		for _, record := range poll(ctx, client) {
			reader.Take(record.Offset, recordOf(record))
		}
	}
}

// positions: offsets by time, seeks into the middle of batches, watermarks, a pause. The topic holds what write wrote.
func positions(ctx context.Context, broker, topic string, lines, partitions int) {
	admin := kadm.NewClient(open(broker))
	defer admin.Close()
	starts, err := admin.ListStartOffsets(ctx, topic)
	records.Must(err)
	ends, err := admin.ListEndOffsets(ctx, topic)
	records.Must(err)
	for partition := range int32(partitions) {
		count := int64((lines - int(partition) + partitions - 1) / partitions)
		start, _ := starts.Lookup(topic, partition)
		end, _ := ends.Lookup(topic, partition)
		records.Check(start.Err == nil && end.Err == nil && start.Offset == 0 && end.Offset == count, "%v %v", start, end)
		for _, offset := range []int64{0, 1, count / 3, count/2 + 1, count - 1} {
			time := records.FirstTimestampMs + offset*int64(partitions) + int64(partition)
			for _, asked := range []int64{time, time - int64(partitions) + 1} {
				found, err := admin.ListOffsetsAfterMilli(ctx, asked, topic)
				records.Must(err)
				at, _ := found.Lookup(topic, partition)
				records.Check(at.Err == nil && at.Offset == offset, "at %d: %v instead of %d", asked, at, offset)
			}
			client := assigned(broker, topic, map[int32]kgo.Offset{partition: kgo.NewOffset().At(offset)})
			first := poll(ctx, client)[0]
			records.Check(first.Offset == offset, "offset %d instead of %d", first.Offset, offset)
			client.Close()
		}
	}
	seekAndPause(ctx, broker, topic)
}

func seekAndPause(ctx context.Context, broker, topic string) {
	client := assigned(broker, topic, map[int32]kgo.Offset{0: kgo.NewOffset().At(0), 1: kgo.NewOffset().At(0)})
	defer client.Close()
	poll(ctx, client)
	client.PauseFetchPartitions(map[string][]int32{topic: {0}})
	client.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 5}, 1: {Epoch: -1, Offset: 7}}})
	for _, record := range poll(ctx, client) {
		records.Check(record.Partition == 1, "a record of a paused partition")
	}
	client.ResumeFetchPartitions(map[string][]int32{topic: {0}})
	for {
		for _, record := range poll(ctx, client) {
			if record.Partition == 0 {
				records.Check(record.Offset == 5, "offset %d after a seek to 5", record.Offset)
				return
			}
		}
	}
}
