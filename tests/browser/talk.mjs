// Three people talk: coming in, rooms, whispers, shouts, what is not read, going out.
import { Chat, equal } from "./harness.mjs";
import { Person, sameOnAll } from "./person.mjs";

export async function talk(topic, { browser, program }) {
  const { check, now } = topic;
  const { address, ...chat } = await Chat.start(topic, program);

  // Coming in.
  const ann = await Person.arrive(topic, browser, address, "Ann");
  const bob = await Person.arrive(topic, browser, address, "Bob", { colorScheme: "dark" });
  await check("the door asks for a name and a room", () => ann.page.getByLabel("Your name").isVisible());
  await ann.shot(topic, "door-light");
  await bob.shot(topic, "door-dark");
  await ann.enter();
  await check("Ann is in #lobby", async () => (await ann.heading()) === "#lobby" && ann.noted("You came in."));
  await check("Ann's page says it is connected", async () =>
    equal(await ann.page.getByRole("status").textContent(), "Connected"),
  );
  await bob.enter("lobby", "Ann");
  await check(
    "a name that is taken is refused, in words",
    async () => (await bob.alert()).length > 10 && bob.page.getByLabel("Your name").isVisible(),
  );
  await bob.enter("lobby", "ann");
  await check("another name is taken, over the same connection; names differ by case", async () => {
    equal(await bob.heading(), "#lobby");
    equal([bob.sockets, (await ann.names()).join()], [1, "ann"]);
  });
  await bob.page.getByRole("button", { name: "Go out" }).click();
  await check("who goes out is at the door again, and no longer here", async () => {
    equal([await bob.page.getByLabel("Your name").isVisible(), (await ann.names()).join()], [true, ""]);
  });
  await bob.enter();
  await check("Ann sees Bob come in", () => ann.noted("Bob came in."));
  await check("who is here: Ann's page lists Bob, Bob's page lists Ann", async () =>
    equal([await ann.names(), await bob.names()], [["Bob"], ["Ann"]]),
  );
  await check("who is in the room: both", async () => equal((await bob.about()).split(", ").sort(), ["Ann", "you"]));

  // A room.
  await ann.say("Hello Bob, how is the wire today?");
  await check("Ann's message reaches Bob", () => bob.sees("Hello Bob, how is the wire today?"));
  await check("and stands on Ann's page once, no longer pending", async () =>
    equal([await ann.times("Hello Bob, how is the wire today?"), (await ann.waiting()).length], [1, 0]),
  );
  await check("the room no longer claims that nobody has said anything", async () =>
    equal(await ann.log.getByText("Nobody has said anything").count(), 0),
  );
  await bob.say("All frames, no fragments.\nTwo lines, ünïcödé and 🦀.");
  await check("Bob's answer reaches Ann, line break and all", () =>
    ann.sees("All frames, no fragments.\nTwo lines, ünïcödé and 🦀."),
  );
  await bob.say("x".repeat(2000));
  await check("2000 characters in one message arrive", () => ann.sees("x".repeat(2000)));

  // A second room, and who hears what.
  await bob.join("workshop");
  await check("Bob is in a second room", async () => (await bob.heading()) === "#workshop");
  await bob.say("Anybody in here?");
  await check("Bob hears himself in the second room", () => bob.sees("Anybody in here?"));
  await ann.say("Only for the lobby", "And this one");
  await check("Bob's list counts what he has not read in #lobby, and so does the title", async () =>
    equal([await bob.unread("#lobby"), await bob.page.title()], [2, "(2) Bob · wireroom chat"]),
  );
  await now("the lobby's message is not shown in #workshop", async () =>
    equal(await bob.sees("Only for the lobby"), false),
  );
  await now("#workshop's message never reached Ann", () =>
    equal(
      [
        bob.got("said", ({ room }) => room === "workshop").length,
        ann.got("said", ({ room }) => room === "workshop").length,
      ],
      [1, 0],
    ),
  );
  await bob.open("#lobby");
  await check(
    "Bob reads it in #lobby, marked as new",
    async () => (await bob.sees("Only for the lobby")) && (await bob.log.locator(".new").count()) === 1,
  );
  await check("and nothing is unread there", async () =>
    equal([await bob.unread("#lobby"), await bob.page.title()], [0, "Bob · wireroom chat"]),
  );

  // One person, and all others, with a third who listens.
  const cleo = await Person.arrive(topic, browser, address, "Cleo");
  await cleo.enter("attic");
  await check("Cleo, in another room, is listed for Ann", async () => (await ann.names()).includes("Cleo"));
  await check("Cleo is offered the rooms that are there", async () =>
    equal((await cleo.page.getByRole("list", { name: "Other rooms" }).locator(".name").allTextContents()).sort(), [
      "#lobby",
      "#workshop",
    ]),
  );
  await ann.open("Bob");
  await ann.say("Just between us", "And quietly");
  await check("a whisper is shown to the one who sent it, once", async () =>
    equal([await ann.times("Just between us"), (await ann.waiting()).length], [1, 0]),
  );
  await check("and counted for the one it is for", async () => equal(await bob.unread("Ann"), 2));
  await bob.open("Ann");
  await check("who reads it there", () => bob.sees("Just between us"));
  await bob.say("Of course");
  await check("and answers", () => ann.sees("Of course"));
  await ann.open("Everyone else");
  await ann.say("Lunch!");
  await check("a message to all others is shown to the one who sent it, once", async () =>
    equal([await ann.times("Lunch!"), (await ann.waiting()).length], [1, 0]),
  );
  await check("and counted for the others", async () =>
    equal([await bob.unread("Everyone else"), await cleo.unread("Everyone else")], [1, 1]),
  );
  await bob.open("Everyone else");
  await cleo.open("Everyone else");
  await check(
    "it reaches Bob, and Cleo, who shares no room with Ann",
    async () => (await bob.sees("Lunch!")) && cleo.sees("Lunch!"),
  );
  await now("what was private never reached Cleo", () =>
    equal([bob.got("whispered").length, cleo.got("whispered").length], [3, 0]),
  );

  // However fast somebody is: a draft stays with its conversation.
  await ann.open("#lobby");
  await ann.field.fill("A draft for the lobby");
  await ann.page.evaluate(() => {
    document.querySelector('[data-key="person:Bob"]').click();
    document.getElementById("say").requestSubmit();
  });
  await check("a draft for a room is not sent to whom one turns to", async () =>
    equal(
      [await ann.heading(), await ann.field.inputValue(), ann.sent("whisper").map(({ text }) => text)],
      ["Bob", "", ["Just between us", "And quietly"]],
    ),
  );
  await ann.open("#lobby");
  await check("and is there when one comes back", async () =>
    equal(await ann.field.inputValue(), "A draft for the lobby"),
  );
  await ann.field.fill("");

  // Leaving.
  await cleo.join("lobby");
  await check(
    "Cleo comes into #lobby, and sees what was said there before",
    async () => (await cleo.heading()) === "#lobby" && cleo.sees("Only for the lobby"),
  );
  await bob.open("#lobby");
  await ann.open("#lobby");
  await check("all three have the same", () => sameOnAll([ann, bob, cleo], 5));
  await bob.open("#workshop");
  await bob.page.getByRole("button", { name: "Leave room" }).click();
  await check("Bob left #workshop, and it is off his list", async () =>
    equal([await bob.rooms.locator(".name").allTextContents(), await bob.heading()], [["#lobby"], "#lobby"]),
  );
  await bob.page.getByRole("button", { name: "Leave room" }).click();
  await check("Ann sees Bob leave #lobby", () => ann.noted("Bob went out."));
  await check("Bob is still here for Ann", async () => equal(await ann.names(), ["Bob", "Cleo"]));
  await cleo.page.close();
  await check("Ann sees Cleo leave when her page is closed", () => ann.noted("Cleo went out."));
  await check("and Cleo is no longer here", async () => equal(await ann.names(), ["Bob"]));
  await ann.open("#lobby");
  await check("who is in the room: Ann alone", async () => equal(await ann.about(), "you"));

  // The same tab, loaded again.
  await ann.say("Before the reload");
  await check("her message is stored", () => ann.acks.size === 4);
  await ann.page.reload();
  await check(
    "a page that is loaded again is where it was, without the door",
    async () => (await ann.connected()) && (await ann.heading()) === "#lobby" && ann.sees("Before the reload"),
  );
  await check("and is here for Bob", async () => equal(await bob.names(), ["Ann"]));
}
