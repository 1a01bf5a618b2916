import java.util.Collections;
import java.util.Properties;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.NewTopic;

/** The program of so many introductions: creates a topic with three partitions and three replicas. */
public class CreateTopic {
    public static void main(String[] args) throws Exception {
        Properties props = new Properties();
        props.put(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);

        try (AdminClient admin = AdminClient.create(props)) {
            NewTopic newTopic = new NewTopic("test-topic", 3, (short) 3);
            admin.createTopics(Collections.singleton(newTopic)).all().get();
            System.out.println("Topic created successfully");
        }
    }
}
