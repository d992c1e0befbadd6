// uWebSockets: `server PORT MODE`. Its examples' way: a topic for the broadcast, no limit on what waits.
#include "App.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

struct Nothing {};

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: server PORT echo|broadcast|deflate-no-takeover|deflate-takeover\n");
        return 2;
    }
    const int port = atoi(argv[1]);
    const std::string mode = argv[2];
    const bool broadcasts = mode == "broadcast";
    const bool takeover = mode == "deflate-takeover", deflates = takeover || mode == "deflate-no-takeover";

    uWS::App::WebSocketBehavior<Nothing> behavior;
    // A window of 32 KiB and memory of 8, zlib's defaults; the level is zlib's own default too, 6.
    behavior.compression = !deflates ? uWS::DISABLED
        : takeover ? uWS::CompressOptions(uWS::DEDICATED_COMPRESSOR_256KB | uWS::DEDICATED_DECOMPRESSOR)
                   : uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR);
    behavior.maxPayloadLength = 64 << 20;
    behavior.maxBackpressure = 1 << 30;
    behavior.idleTimeout = 0;
    behavior.sendPingsAutomatically = false;
    behavior.open = [broadcasts](auto *socket) {
        if (broadcasts) socket->subscribe("room");
    };
    uWS::App app;
    uWS::App *every = &app;
    behavior.message = [broadcasts, deflates, every](auto *socket, std::string_view message, uWS::OpCode opcode) {
        if (broadcasts) {
            // By the app: by the socket it would leave out the publisher.
            every->publish("room", message, opcode);
        } else {
            socket->send(message, opcode, deflates);
        }
    };
    app.ws<Nothing>("/*", std::move(behavior));
    app.listen("127.0.0.1", port, [](auto *listening) {
        if (!listening) {
            fprintf(stderr, "cannot listen\n");
            exit(1);
        }
    });
    app.run();
}
