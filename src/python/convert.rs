//! Python's values as the core's, with an error that says what to pass where they do not fit.

use std::time::Duration;

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyMapping, PyMemoryView, PySequence, PyString, PyTuple, PyType,
};
use serde_json::{Map, Number, Value};

use crate::claims::Claims;
use crate::error::{Code, Error, Result};
use crate::negotiate::{Identity, Transports, invalid_user_id};

/// How deep a value may be nested. Deeper ones do not come from people.
const DEPTH_MAX: usize = 64;

/// The longest time that a call may be given, in seconds. It keeps the sum with a clock representable.
const TIMEOUT_MAX: f64 = 24.0 * 60.0 * 60.0;

/// A text; surrogates without a partner have no UTF-8 form and are refused.
pub fn text<'a>(value: &'a Bound<'_, PyAny>) -> Option<std::borrow::Cow<'a, str>> {
    value.cast::<PyString>().ok()?.to_cow().ok()
}

/// A text that an argument has to be.
pub fn text_argument<'a>(name: &str, value: &'a Bound<'_, PyAny>) -> Result<std::borrow::Cow<'a, str>> {
    text(value).ok_or_else(|| {
        Error::new(
            Code::InvalidArgument,
            if value.is_instance_of::<PyString>() {
                format!("The argument {name} has surrogates, which cannot be encoded.")
            } else {
                format!("The argument {name} is {} and not a text.", type_name(value))
            },
            format!("Pass {name}= as a str that can be encoded as UTF-8."),
        )
    })
}

/// The name of a value's type, which is safe to show where the value is not.
pub fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

/// `True` or `False`, and nothing that merely looks like it: `anonymous="no"` must not let anybody in.
pub fn flag(name: &str, value: &Bound<'_, PyAny>) -> Result<bool> {
    value.cast::<PyBool>().map(|flag| flag.is_true()).map_err(|_| {
        Error::new(
            Code::InvalidArgument,
            format!("The argument {name} is neither True nor False."),
            format!("Pass {name}=True or {name}=False, not {}.", type_name(value)),
        )
    })
}

/// Who connects: a user id, or `anonymous=True`.
pub fn identity<'a>(
    user_id: Option<&'a Bound<'_, PyAny>>,
    anonymous: &Bound<'_, PyAny>,
    buffer: &'a mut Option<std::borrow::Cow<'a, str>>,
) -> Result<Identity<'a>> {
    match (user_id, flag("anonymous", anonymous)?) {
        (None, true) => Ok(Identity::Anonymous),
        (None, false) => Err(Error::new(
            Code::IdentityMissing,
            "Nobody was named for the token.",
            "Pass the id of the signed-in user, such as str(user.id), or anonymous=True if nobody is signed in.",
        )),
        (Some(_), true) => Err(Error::new(
            Code::IdentityConflict,
            "Both a user id and anonymous=True were passed.",
            "Pass either user_id= or anonymous=True.",
        )),
        (Some(user_id), false) => user(user_id, buffer),
    }
}

/// A user.
pub fn user<'a>(
    user_id: &'a Bound<'_, PyAny>,
    buffer: &'a mut Option<std::borrow::Cow<'a, str>>,
) -> Result<Identity<'a>> {
    Identity::user(buffer.insert(user_text(user_id)?))
}

/// The text of a user id, whatever it says.
pub fn user_text<'a>(user_id: &'a Bound<'_, PyAny>) -> Result<std::borrow::Cow<'a, str>> {
    text(user_id).ok_or_else(|| {
        if user_id.is_instance_of::<PyString>() {
            return Error::new(
                Code::InvalidUserId,
                "The user id has surrogates, which no token can carry.",
                "Pass text that can be encoded: user_id.encode(\"utf-8\", \"replace\").decode().",
            );
        }
        invalid_user_id(&format!("The user id is {} and not a text.", type_name(user_id)))
    })
}

/// A lifetime as a `timedelta`.
pub fn lifetime(value: &Bound<'_, PyAny>) -> Result<Duration> {
    let refused = |message: String| {
        Error::new(
            Code::InvalidLifetime,
            message,
            "Pass lifetime=timedelta(hours=1); between 1 second and 24 hours, or more with allow_long_lifetime=True.",
        )
    };
    let read = timedelta(value)
        .ok_or_else(|| refused(format!("The lifetime is {} and not a timedelta.", type_name(value))))?;
    read.ok_or_else(|| refused("The lifetime is not between 1 second and 24 hours.".to_owned()))
}

/// A `timedelta`, or `None` if the value is something else: nobody can tell the seconds from the minutes of a number. In it
/// `None` if the time is negative.
pub fn timedelta(value: &Bound<'_, PyAny>) -> Option<Option<Duration>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if !is_instance(value, &CLASS, "timedelta") {
        return None;
    }
    let seconds = value.call_method0("total_seconds").and_then(|seconds| seconds.extract::<f64>());
    Some(seconds.ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}

/// A `timedelta` of a setting.
pub fn duration(name: &str, value: &Bound<'_, PyAny>) -> Result<Duration> {
    let seconds = value.call_method0("total_seconds").and_then(|seconds| seconds.extract::<f64>());
    seconds.ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or_else(|| {
        Error::new(
            Code::InvalidArgument,
            format!("The setting {name} is not a timedelta of zero or more."),
            format!("Pass {name}=timedelta(minutes=...)."),
        )
    })
}

/// A point in time as an aware `datetime`, in seconds since 1970.
pub fn unix_seconds(value: &Bound<'_, PyAny>) -> Result<i64> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let read = || -> Option<i64> {
        if !is_instance(value, &CLASS, "datetime") || value.call_method0("utcoffset").ok()?.is_none() {
            return None;
        }
        let seconds: f64 = value.call_method0("timestamp").ok()?.extract().ok()?;
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the seconds of every datetime fit, and fractions are dropped"
        )]
        Some(seconds.floor() as i64)
    };
    read().ok_or_else(|| {
        Error::new(
            Code::InvalidAuthenticationExpiresOn,
            "The end of the user's authentication is not a datetime with a time zone.",
            "Pass authentication_expires_on=datetime.now(timezone.utc) + timedelta(...), or add tzinfo to the one at hand.",
        )
    })
}

fn is_instance(value: &Bound<'_, PyAny>, class: &PyOnceLock<Py<PyType>>, name: &str) -> bool {
    class.import(value.py(), "datetime", name).and_then(|class| value.is_instance(class)).unwrap_or(false)
}

/// A number of seconds that a call may take.
pub fn timeout(value: Option<&Bound<'_, PyAny>>) -> Result<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    let is_number = value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>();
    let seconds = value
        .extract::<f64>()
        .ok()
        .filter(|seconds| is_number && !value.is_instance_of::<PyBool>() && *seconds > 0.0 && *seconds <= TIMEOUT_MAX);
    seconds.map(|seconds| Some(Duration::from_secs_f64(seconds))).ok_or_else(|| {
        Error::new(
            Code::InvalidArgument,
            "The timeout is not a positive number of seconds.",
            "Pass timeout=10.0 (seconds, up to a day).",
        )
    })
}

/// Names of transports. One text is refused although it can be iterated: its letters are no transports.
pub fn transports(value: &Bound<'_, PyAny>) -> PyResult<Transports> {
    let names = texts(value)?.unwrap_or_default();
    Ok(Transports::from_names(names.iter().map(String::as_str))?)
}

/// Ids of connections that a message is not for.
pub fn excluded(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let ids = texts(value)?.filter(|ids| ids.iter().all(|id| !id.is_empty()));
    ids.ok_or_else(|| {
        let error = Error::new(
            Code::InvalidArgument,
            "The connections to exclude are not a sequence of connection ids.",
            "Pass excluded=[connection_id, ...] with the ids as texts.",
        );
        error.into()
    })
}

/// The texts of an iterable; `None` if it is not one, or not of texts. What the iteration itself raises is its caller's.
pub fn texts(value: &Bound<'_, PyAny>) -> PyResult<Option<Vec<String>>> {
    let Ok(items) = value.try_iter() else { return Ok(None) };
    if value.is_instance_of::<PyString>() {
        return Ok(None);
    }
    let mut read = Vec::new();
    for item in items {
        let item = item?;
        let Some(text) = text(&item) else { return Ok(None) };
        read.push(text.into_owned());
    }
    Ok(Some(read))
}

/// Claims from a mapping, or from pairs if a name is to appear more than once.
pub fn claims(value: &Bound<'_, PyAny>) -> PyResult<Claims> {
    let pairs = match value.cast::<PyMapping>() {
        Ok(mapping) => mapping.items()?.try_iter()?,
        Err(_) if value.is_instance_of::<PyString>() => return Err(not_claims().into()),
        Err(_) => value.try_iter().map_err(|_| not_claims())?,
    };
    let pairs = pairs.map(|pair| {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract().map_err(|_| not_claims())?;
        let name = text(&name).ok_or_else(|| {
            Error::new(
                Code::InvalidClaim,
                format!("The name of a claim is {} and not a text.", type_name(&name)),
                "Pass claims={\"name\": value}.",
            )
        })?;
        let value = json(&value, DEPTH_MAX)
            .map_err(|fault| fault.into_error(Code::InvalidClaim, &format!("The claim {name}")))?;
        Ok((name.into_owned(), value))
    });
    Ok(Claims::from_pairs(pairs.collect::<PyResult<Vec<_>>>()?)?)
}

fn not_claims() -> Error {
    Error::new(
        Code::InvalidClaim,
        "The claims are neither a mapping nor pairs of name and value.",
        "Pass claims={\"name\": value}, or claims=[(\"name\", value), ...] to repeat a name.",
    )
}

/// Why a value cannot be written as JSON.
#[derive(Debug)]
pub enum JsonFault {
    Depth,
    /// What a mapping or a sequence of the caller raised when it was read.
    Raised(PyErr),
    Key(String),
    LargeInteger,
    NonFinite,
    Surrogate,
    Type(String),
}

impl JsonFault {
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Depth => "Pass a flatter value, or json.dumps(value) as a text.",
            Self::Raised(_) => "Pass a list or a dict.",
            Self::Key(_) => "Use texts as the keys of a dict, such as {str(key): value}.",
            Self::LargeInteger => "Pass str(number): readers of JSON lose the digits of larger integers.",
            Self::NonFinite => "Pass None or a text; JSON has no NaN and no infinity.",
            Self::Surrogate => "Pass text that can be encoded: text.encode(\"utf-8\", \"replace\").decode().",
            Self::Type(_) => "Pass a str, bool, int, float, None, list or dict; str(value) for anything else.",
        }
    }
}

impl JsonFault {
    /// The error for a value that is at fault, or what the caller's own code raised.
    pub fn into_error(self, code: Code, what: &str) -> PyErr {
        let error = Error::new(code, format!("{what} {self}."), self.hint());
        match self {
            Self::Raised(raised) => raised,
            _ => error.into(),
        }
    }
}

impl std::fmt::Display for JsonFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Depth => f.write_str("is nested too deeply"),
            Self::Raised(_) => f.write_str("cannot be read"),
            Self::Key(name) => write!(f, "has a dict with {name} as a key"),
            Self::LargeInteger => f.write_str("has an integer of more than 64 bits"),
            Self::NonFinite => f.write_str("has a number that is not finite"),
            Self::Surrogate => f.write_str("has text with a surrogate"),
            Self::Type(name) => write!(f, "has a value of the type {name}"),
        }
    }
}

/// A Python value as JSON, its types kept.
pub fn json(value: &Bound<'_, PyAny>, depth: usize) -> Result<Value, JsonFault> {
    let inner = depth.checked_sub(1).ok_or(JsonFault::Depth)?;
    if value.is_none() {
        Ok(Value::Null)
    } else if let Ok(flag) = value.cast::<PyBool>() {
        Ok(Value::Bool(flag.is_true()))
    } else if let Ok(text) = value.cast::<PyString>() {
        text.to_cow().map(|text| Value::String(text.into_owned())).map_err(|_| JsonFault::Surrogate)
    } else if value.is_instance_of::<PyInt>() {
        integer(value)
    } else if value.is_instance_of::<PyFloat>() {
        let number = value.extract::<f64>().ok().and_then(Number::from_f64);
        number.map(Value::Number).ok_or(JsonFault::NonFinite)
    } else if let Ok(mapping) = value.cast::<PyMapping>() {
        let items = mapping.items().map_err(JsonFault::Raised)?;
        let entries = items.iter().map(|item| {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
                item.extract().map_err(|_| JsonFault::Type(type_name(&item)))?;
            let key = text(&key).ok_or_else(|| JsonFault::Key(type_name(&key)))?;
            Ok((key.into_owned(), json(&value, inner)?))
        });
        entries.collect::<Result<Map<_, _>, _>>().map(Value::Object)
    } else if is_list(value) {
        let sequence = value.cast::<PySequence>().map_err(|_| JsonFault::Type(type_name(value)))?;
        let list = sequence.to_list().map_err(JsonFault::Raised)?;
        list.iter().map(|item| json(&item, inner)).collect::<Result<_, _>>().map(Value::Array)
    } else {
        Err(JsonFault::Type(type_name(value)))
    }
}

/// Whether a value is a list to JSON: any sequence, but bytes, which Python also counts among them.
fn is_list(value: &Bound<'_, PyAny>) -> bool {
    let is_bytes = value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyMemoryView>();
    !is_bytes && value.cast::<PySequence>().is_ok()
}

fn integer(value: &Bound<'_, PyAny>) -> Result<Value, JsonFault> {
    match value.extract::<i64>() {
        Ok(number) => Ok(Value::from(number)),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            value.extract::<u64>().map(Value::from).map_err(|_| JsonFault::LargeInteger)
        }
        Err(_) => Err(JsonFault::Type(type_name(value))),
    }
}

/// The arguments of a message.
pub fn json_arguments(arguments: &Bound<'_, PyTuple>) -> PyResult<Vec<Value>> {
    arguments
        .iter()
        .enumerate()
        .map(|(position, argument)| {
            json(&argument, DEPTH_MAX)
                .map_err(|fault| fault.into_error(Code::InvalidMessage, &format!("Argument {}", position + 1)))
        })
        .collect()
}
