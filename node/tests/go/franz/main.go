// Program franz drives the server through franz-go (kgo, kadm):
//
//	franz BROKER write TOPIC FILE PARTITIONS CODEC ACKS IDEMPOTENT
//	franz BROKER read TOPIC FILE PARTITIONS
//	franz BROKER positions TOPIC FILE PARTITIONS
//	franz BROKER admin TOPIC
//	franz BROKER group TOPIC
//	franz BROKER member GROUP TOPIC NOTES STOP ASSIGNOR SESSION_MS [INSTANCE]
//	franz BROKER watch GROUP TOPIC STOP
package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"ringmain.tests/clients/records"
)

const limit = 60 * time.Second

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*limit)
	defer cancel()
	broker, words := os.Args[1], os.Args[3:]
	switch os.Args[2] {
	case "write":
		write(ctx, broker, words[0], records.Lines(words[1]), records.Number(words[2]), words[3], words[4], words[5])
	case "read":
		read(ctx, broker, words[0], records.Lines(words[1]), records.Number(words[2]))
	case "positions":
		positions(ctx, broker, words[0], len(records.Lines(words[1])), records.Number(words[2]))
	case "admin":
		admin(ctx, broker, words[0])
	case "group":
		group(ctx, broker, words[0])
	case "member":
		member(broker, words)
	case "watch":
		watch(broker, words)
	default:
		records.Check(false, "no command %s", os.Args[2])
	}
}

func open(broker string, options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(strings.Split(broker, ",")...))...)
	records.Must(err)
	return client
}
