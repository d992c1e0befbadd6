// A cable between one page and the chat. Cut, it loses nothing and delivers nothing, as a network that has gone silent:
// neither end is told, connections that are made meanwhile hang.
import { connect, createServer } from "node:net";

export class Cable {
  #ends = new Set();
  #cut = false;

  /** Where the page has to go; the chat has to allow this origin. */
  static async lay(topic) {
    const cable = new Cable();
    cable.server = createServer({ pauseOnConnect: true }, (page) => cable.#join(page));
    await new Promise((resolve) => cable.server.listen(0, "127.0.0.1", resolve));
    cable.origin = `http://127.0.0.1:${cable.server.address().port}`;
    topic.later(
      () =>
        new Promise((resolve) => {
          for (const end of cable.#ends) end.destroy();
          cable.server.close(resolve);
        }),
    );
    return cable;
  }

  /** To which chat it leads. */
  plug(port) {
    this.port = port;
    return `${this.origin}/`;
  }

  cut() {
    this.#cut = true;
    for (const end of this.#ends) end.pause();
  }

  mend() {
    this.#cut = false;
    for (const end of this.#ends) end.resume();
  }

  #join(page) {
    const chat = connect(this.port, "127.0.0.1");
    for (const [end, other] of [
      [page, chat],
      [chat, page],
    ]) {
      this.#ends.add(end);
      end.setNoDelay(true);
      end.on("data", (bytes) => other.write(bytes));
      end.on("end", () => other.end());
      end.on("error", () => other.destroy());
      end.on("close", () => {
        this.#ends.delete(end);
        other.destroySoon();
      });
      if (!this.#cut) end.resume();
    }
  }
}
