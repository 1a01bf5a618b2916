// Program sarama drives the server through sarama, as a program that is pinned to an old version of the protocol, or with
// the version that sarama takes by itself (VERSION "default"):
//
//	sarama VERSION BROKER write TOPIC FILE PARTITIONS CODEC ACKS IDEMPOTENT
//	sarama VERSION BROKER read TOPIC FILE PARTITIONS
//	sarama VERSION BROKER positions TOPIC FILE PARTITIONS
//	sarama VERSION BROKER admin TOPIC
//	sarama VERSION BROKER group TOPIC
package main

import (
	"os"
	"time"

	"github.com/IBM/sarama"
	"ringmain.tests/clients/records"
)

const limit = 60 * time.Second

func main() {
	version, broker, words := os.Args[1], os.Args[2], os.Args[4:]
	config := sarama.NewConfig()
	config.ClientID = "ringmain-tests"
	if version != "default" {
		pinned, err := sarama.ParseKafkaVersion(version)
		records.Must(err)
		config.Version = pinned
	}
	time.AfterFunc(limit, func() { records.Check(false, "nothing more happens") })
	switch os.Args[3] {
	case "write":
		write(config, broker, words[0], records.Lines(words[1]), records.Number(words[2]), words[3], words[4], words[5])
	case "read":
		read(config, broker, words[0], records.Lines(words[1]), records.Number(words[2]))
	case "positions":
		positions(config, broker, words[0], len(records.Lines(words[1])), records.Number(words[2]))
	case "admin":
		admin(config, broker, words[0])
	case "group":
		group(config, broker, words[0])
	default:
		records.Check(false, "no command %s", os.Args[3])
	}
}
