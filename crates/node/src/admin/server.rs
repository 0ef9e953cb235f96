use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::Path,
};

use tokio::net::UnixListener;

use crate::{admin::routes, capped::Capped, handle::Handle, node::StartError};

/// The longest path that fits into a socket address on Linux.
const PATH_BYTES_MAX: usize = 107;
/// How many connections there may be at once. 256: a guess; a quarter of the open files that a process usually may have.
const CONNECTIONS_MAX: usize = 256;

/// Makes the socket, in place of one that nobody serves any more.
pub(crate) fn bind(path: &Path) -> Result<UnixListener, StartError> {
    let failed = |error| StartError::Api { path: path.to_owned(), error };
    if path.as_os_str().len() > PATH_BYTES_MAX {
        let text = format!("a socket's path has at most {PATH_BYTES_MAX} bytes; name a shorter one with --api");
        return Err(failed(io::Error::other(text)));
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            if UnixStream::connect(path).is_ok() {
                return Err(failed(io::Error::other("another process serves it")));
            }
            fs::remove_file(path).map_err(failed)?;
        }
        Ok(_) => return Err(failed(io::Error::other("there is a file of this name that is no socket"))),
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Serves the API until the node stops.
pub(crate) async fn serve(handle: Handle, socket: UnixListener) {
    let stopped = {
        let handle = handle.clone();
        async move {
            handle.stopped().await;
        }
    };
    let served =
        axum::serve(Capped::new(socket, CONNECTIONS_MAX), routes::router(handle)).with_graceful_shutdown(stopped).await;
    if let Err(error) = served {
        tracing::error!(%error, "the API ended");
    }
}
