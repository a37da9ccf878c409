"""A real RTSP server with GStreamer's test picture: `python rtsp_server.py PORT FPS`; says its port when it serves."""

import sys

PICTURES = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=640,height=480,framerate={fps}/1 "
    "! jpegenc quality=80 ! rtpjpegpay name=pay0 pt=26"
)


def serve(port: str, fps: str) -> None:
    import gi  # here, so that a test can ask where this file is without PyGObject

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(f"( {PICTURES.format(fps=fps)} )")
    factory.set_shared(True)
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
