//! The numbers that DescribeConfigs and IncrementalAlterConfigs use.

macro_rules! numbers {
    ($(#[$meta:meta])* $type:ident { $($(#[$name_meta:meta])* $name:ident = $number:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i8)]
        #[allow(missing_docs, reason = "variants bear Kafka's names")]
        pub enum $type {
            $($(#[$name_meta])* $name = $number,)*
        }

        impl $type {
            /// The meaning of `number`, if it has one.
            #[must_use]
            pub const fn from_number(number: i8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its number on the wire.
            #[must_use]
            pub const fn number(self) -> i8 {
                self as i8
            }
        }
    };
}

numbers! {
    /// What kind of thing a configuration belongs to.
    ConfigResourceType {
        Topic = 2,
        Broker = 4,
        BrokerLogger = 8,
        ClientMetrics = 16,
        Group = 32,
    }
}

numbers! {
    /// Where the value of a config comes from.
    ConfigSource {
        /// Set on the topic itself.
        Topic = 1,
        /// Set on one broker, at run time.
        DynamicBroker = 2,
        /// Set on all brokers, at run time.
        DynamicDefaultBroker = 3,
        /// Set in the broker's configuration file.
        StaticBroker = 4,
        /// Set nowhere.
        Default = 5,
        DynamicBrokerLogger = 6,
        ClientMetrics = 7,
        Group = 8,
    }
}

numbers! {
    /// The type of a config's value.
    ConfigType {
        Boolean = 1,
        String = 2,
        Int = 3,
        Short = 4,
        Long = 5,
        Double = 6,
        List = 7,
        Class = 8,
        Password = 9,
    }
}

numbers! {
    /// What to do with a config.
    AlterConfigOperation {
        Set = 0,
        /// Back to the default.
        Delete = 1,
        /// Add to a list.
        Append = 2,
        /// Take out of a list.
        Subtract = 3,
    }
}
