//! The lists of the services' methods, from which both faces are made.

/// Calls `$apply!` with one row per method of the Task service: function, name on the wire, request, response.
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

/// The same for the Sandbox service.
macro_rules! for_each_sandbox_method {
    ($apply:ident) => {
        $apply! {
            create_sandbox "CreateSandbox" CreateSandboxRequest => CreateSandboxResponse,
            start_sandbox "StartSandbox" StartSandboxRequest => StartSandboxResponse,
            platform "Platform" PlatformRequest => PlatformResponse,
            stop_sandbox "StopSandbox" StopSandboxRequest => StopSandboxResponse,
            wait_sandbox "WaitSandbox" WaitSandboxRequest => WaitSandboxResponse,
            sandbox_status "SandboxStatus" SandboxStatusRequest => SandboxStatusResponse,
            ping_sandbox "PingSandbox" PingRequest => PingResponse,
            shutdown_sandbox "ShutdownSandbox" ShutdownSandboxRequest => ShutdownSandboxResponse,
            sandbox_metrics "SandboxMetrics" SandboxMetricsRequest => SandboxMetricsResponse,
        }
    };
}

pub(super) use {for_each_method, for_each_sandbox_method};
