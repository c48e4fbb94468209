//! The list of the Task service's methods, from which both faces are made.

/// Calls `$apply!` with one row per method: function, name on the wire, request, response.
macro_rules! for_each_method {
    ($apply:ident) => {
        $apply! {
            state "State" StateRequest => StateResponse,
            create "Create" CreateTaskRequest => CreateTaskResponse,
            start "Start" StartRequest => StartResponse,
            delete "Delete" DeleteRequest => DeleteResponse,
            pids "Pids" PidsRequest => PidsResponse,
            pause "Pause" PauseRequest => (),
            resume "Resume" ResumeRequest => (),
            checkpoint "Checkpoint" CheckpointTaskRequest => (),
            kill "Kill" KillRequest => (),
            exec "Exec" ExecProcessRequest => (),
            resize_pty "ResizePty" ResizePtyRequest => (),
            close_io "CloseIO" CloseIoRequest => (),
            update "Update" UpdateTaskRequest => (),
            wait "Wait" WaitRequest => WaitResponse,
            stats "Stats" StatsRequest => StatsResponse,
            connect "Connect" ConnectRequest => ConnectResponse,
            shutdown "Shutdown" ShutdownRequest => (),
        }
    };
}

pub(super) use for_each_method;
