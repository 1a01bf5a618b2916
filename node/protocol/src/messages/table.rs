//! The macro that declares a message once for all its versions, as a table:
//!
//! ```text
//! message! {
//!     /// What it is.
//!     struct ExampleRequest<'a>, request of Example {
//!         name:     &'a str         [0..];
//!         rack:     Option<&'a str> [2..] nullable(3..) ignorable;
//!         epoch:    i32             [1..] default(-1);
//!         hint:     i64             [2..] tag(0) default(-1);
//!     }
//! }
//! ```
//!
//! A row is: field, type, versions that have it, options. `Option` types may be null, in all those
//! versions or in the `nullable` ones only. A version that lacks a field decodes to its `default`
//! (else the type's) and refuses to encode another value, unless the field is `ignorable`. A `tag`
//! puts the field into the tagged section, in ascending order of tags; defaults are left out there.
//! `payload` marks records, which are encoded by reference (see [`Payload`](crate::codec::Payload));
//! with `null_as_empty` null is written as no bytes.
//!
//! The generic parameters are a lifetime for what is borrowed and a type for payloads, each optional.

/// Declares a message, or a structure inside messages: see the module.
macro_rules! message {
    (
        $(#[$meta:meta])*
        struct $name:ident $(<$($lifetime:lifetime)? $(,)? $($payload:ident)?>)?
        $(, $role:ident of $api:ident)?
        {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $type:ty [$($versions:tt)+] $($option:ident $(($($value:tt)*))?)*;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "fields bear the names of Kafka's published schemas")]
        pub struct $name<$($($lifetime,)? $($payload,)?)?> {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl<$($($lifetime,)? $($payload,)?)?> Default for $name<$($($lifetime,)? $($payload,)?)?> {
            fn default() -> Self {
                Self { $($field: row!(@default $($option $(($($value)*))?)*),)* }
            }
        }

        impl<'wire $($(: $lifetime, $lifetime)?)?, $($($payload)?)?> $crate::codec::Decode<'wire>
            for $name<$($($lifetime,)? $($payload,)?)?>
        $($(where Option<$payload>: $crate::codec::Decode<'wire>)?)?
        {
            fn decode(
                reader: &mut $crate::codec::Reader<'wire>,
                version: $crate::codec::Version,
            ) -> Result<Self, $crate::codec::DecodeError> {
                let mut message = Self::default();
                $(row!(@decode [$($versions)+] [$($option $(($($value)*))?)*]
                    message.$field, reader, version);)*
                if version.is_flexible() {
                    reader.tagged_fields(|_tag, _field| {
                        $(row!(@decode_tagged [$($versions)+] [$($option $(($($value)*))?)*]
                            message.$field, _field, version, _tag);)*
                        Ok(())
                    })?;
                }
                Ok(message)
            }
        }

        impl<$($($lifetime,)? $($payload: $crate::codec::Payload)?)?> $crate::codec::Encode
            for $name<$($($lifetime,)? $($payload,)?)?>
        {
            fn encode(
                &self,
                writer: &mut $crate::codec::Writer,
                version: $crate::codec::Version,
            ) -> Result<(), $crate::codec::EncodeError> {
                $(row!(@check $type, [$($versions)+] [$($option $(($($value)*))?)*]
                    self.$field, stringify!($field), version);)*
                $(row!(@encode [$($versions)+] [$($option $(($($value)*))?)*]
                    self.$field, writer, version);)*
                if version.is_flexible() {
                    let count = 0_u32 $(+ row!(@count_tagged $type, [$($versions)+]
                        [$($option $(($($value)*))?)*] self.$field, version))*;
                    writer.unsigned_varint(count);
                    $(row!(@encode_tagged $type, [$($versions)+] [$($option $(($($value)*))?)*]
                        self.$field, writer, version);)*
                }
                Ok(())
            }
        }

        message!(@role [$($role $api)?] $name [$($($lifetime,)? $($payload,)?)?]);

        #[cfg(test)]
        impl<$($($lifetime,)?)?> $crate::messages::generate::Generate
            for $name<$($($lifetime,)? $(message!(@bytes $payload),)?)?>
        {
            fn generate(
                source: &mut $crate::messages::generate::Source<'_>,
                version: $crate::codec::Version,
            ) -> Self {
                let mut message = Self::default();
                $(row!(@generate [$($versions)+] [$($option $(($($value)*))?)*]
                    message.$field, source, version);)*
                message
            }
        }
    };
    (@bytes $payload:ident) => { &'static [u8] };
    (@role [] $name:ident [$($generic:tt)*]) => {};
    (@role [request $api:ident] $name:ident [$($generic:tt)*]) => {
        impl<$($generic)*> $crate::messages::Request for $name<$($generic)*> {
            const API_KEY: $crate::ApiKey = $crate::ApiKey::$api;
        }
    };
    (@role [response $api:ident] $name:ident [$($generic:tt)*]) => {
        impl<$($generic)*> $crate::messages::Response for $name<$($generic)*> {
            const API_KEY: $crate::ApiKey = $crate::ApiKey::$api;
        }
    };
}

/// One row of [`message!`]: each arm writes the code that the row's options ask for. An arm that
/// ends in `[$option ..]` skips an option which does not concern it.
macro_rules! row {
    (@default) => { Default::default() };
    (@default default($value:expr) $($rest:tt)*) => { $value };
    (@default $option:ident ($($value:tt)*) $($rest:tt)*) => { row!(@default $($rest)*) };
    (@default $option:ident $($rest:tt)*) => { row!(@default $($rest)*) };

    (@ignorable) => { false };
    (@ignorable ignorable $($rest:tt)*) => { true };
    (@ignorable $option:ident ($($value:tt)*) $($rest:tt)*) => { row!(@ignorable $($rest)*) };
    (@ignorable $option:ident $($rest:tt)*) => { row!(@ignorable $($rest)*) };

    // Reads a field of the plain section.
    (@decode [$($versions:tt)+] [tag($tag:literal) $($options:tt)*]
        $place:expr, $reader:ident, $version:ident) => {};
    (@decode [$($versions:tt)+] [nullable($($nullable:tt)+) $($options:tt)*]
        $place:expr, $reader:ident, $version:ident) => {
        if $version.is_in($($versions)+) {
            $place = $crate::codec::Decode::decode($reader, $version)?;
            if $place.is_none() && !$version.is_in($($nullable)+) {
                return Err($crate::codec::DecodeError::UnexpectedNull);
            }
        }
    };
    (@decode [$($versions:tt)+] [$($options:tt)*]
        $place:expr, $reader:ident, $version:ident) => {
        if $version.is_in($($versions)+) {
            $place = $crate::codec::Decode::decode($reader, $version)?;
        }
    };

    // Makes a value up, for tests.
    (@generate [$($versions:tt)+] [nullable($($nullable:tt)+) $($options:tt)*]
        $place:expr, $source:ident, $version:ident) => {
        if $version.is_in($($versions)+) {
            $place = $crate::messages::generate::Generate::generate($source, $version);
            if !$version.is_in($($nullable)+) {
                $place = Some($place.unwrap_or_default());
            }
        }
    };
    (@generate [$($versions:tt)+] [payload null_as_empty $($options:tt)*]
        $place:expr, $source:ident, $version:ident) => {
        $place = Some($crate::messages::generate::Generate::generate($source, $version));
    };
    (@generate [$($versions:tt)+] [$($options:tt)*]
        $place:expr, $source:ident, $version:ident) => {
        if $version.is_in($($versions)+) {
            $place = $crate::messages::generate::Generate::generate($source, $version);
        }
    };

    // Reads a field of the tagged section if the tag is its own.
    (@decode_tagged [$($versions:tt)+] [tag($tag:literal) $($options:tt)*]
        $place:expr, $reader:ident, $version:ident, $found:ident) => {
        if $found == $tag && $version.is_in($($versions)+) {
            $place = $crate::codec::Decode::decode($reader, $version)?;
        }
    };
    (@decode_tagged [$($versions:tt)+] [$($options:tt)*]
        $place:expr, $reader:ident, $version:ident, $found:ident) => {};

    // Refuses a value that the version cannot carry.
    (@check $type:ty, [0..] [$($options:tt)*] $place:expr, $name:expr, $version:ident) => {
        row!(@check_null [$($options)*] $place, $name, $version);
    };
    (@check $type:ty, [$($versions:tt)+] [$($options:tt)*]
        $place:expr, $name:expr, $version:ident) => {
        if $version.is_in($($versions)+) {
            row!(@check_null [$($options)*] $place, $name, $version);
        } else if !row!(@ignorable $($options)*) {
            let default: $type = row!(@default $($options)*);
            if $place != default {
                return Err($crate::codec::EncodeError::FieldNotInVersion {
                    field: $name,
                    version: $version.number(),
                });
            }
        }
    };
    (@check_null [nullable($($nullable:tt)+) $($options:tt)*]
        $place:expr, $name:expr, $version:ident) => {
        if $place.is_none() && !$version.is_in($($nullable)+) {
            return Err($crate::codec::EncodeError::NullNotAllowed {
                field: $name,
                version: $version.number(),
            });
        }
    };
    (@check_null [$($options:tt)*] $place:expr, $name:expr, $version:ident) => {};

    // Writes a field of the plain section.
    (@encode [$($versions:tt)+] [tag($tag:literal) $($options:tt)*]
        $place:expr, $writer:ident, $version:ident) => {};
    (@encode [$($versions:tt)+] [payload null_as_empty $($options:tt)*]
        $place:expr, $writer:ident, $version:ident) => {
        if $version.is_in($($versions)+) {
            match $place.as_ref() {
                None => $writer.nullable_length(Some(0), $version)?,
                payload => $writer.payload(payload, $version)?,
            }
        }
    };
    (@encode [$($versions:tt)+] [payload $($options:tt)*]
        $place:expr, $writer:ident, $version:ident) => {
        if $version.is_in($($versions)+) {
            $writer.payload($place.as_ref(), $version)?;
        }
    };
    (@encode [$($versions:tt)+] [$($options:tt)*]
        $place:expr, $writer:ident, $version:ident) => {
        if $version.is_in($($versions)+) {
            $crate::codec::Encode::encode(&$place, $writer, $version)?;
        }
    };

    // How many fields the row adds to the tagged section: one or none.
    (@count_tagged $type:ty, [$($versions:tt)+] [tag($tag:literal) $($options:tt)*]
        $place:expr, $version:ident) => {{
        let default: $type = row!(@default $($options)*);
        u32::from($version.is_in($($versions)+) && $place != default)
    }};
    (@count_tagged $type:ty, [$($versions:tt)+] [$($options:tt)*]
        $place:expr, $version:ident) => { 0 };

    // Writes a field of the tagged section.
    (@encode_tagged $type:ty, [$($versions:tt)+] [tag($tag:literal) $($options:tt)*]
        $place:expr, $writer:ident, $version:ident) => {
        let default: $type = row!(@default $($options)*);
        if $version.is_in($($versions)+) && $place != default {
            $writer.tagged_field($tag, |writer| {
                $crate::codec::Encode::encode(&$place, writer, $version)
            })?;
        }
    };
    (@encode_tagged $type:ty, [$($versions:tt)+] [$($options:tt)*]
        $place:expr, $writer:ident, $version:ident) => {};
}

pub(crate) use {message, row};
