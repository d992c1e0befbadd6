// Who is here, who is idle, who is writing, and what happens when somebody comes in twice.
import { Chat, equal } from "./harness.mjs";
import { Person, enterAll, sameOnAll } from "./person.mjs";

/** Lets the page's clock run 20 times as fast: five minutes without a touch are a quarter of one. */
const hasten = (person) =>
  person.page.evaluate(() => {
    const now = Date.now;
    let ahead = 0;
    Date.now = () => now.call(Date) + ahead;
    window.slowDown = () => clearInterval(timer);
    // In steps that are no sleep: that begins at 30 s.
    const timer = setInterval(() => {
      ahead += 2_000;
    }, 100);
  });

export async function presence(topic, { browser, program }) {
  const { check, now } = topic;
  const { address } = await Chat.start(topic, program);
  const [ann, bob, cleo, dora] = await Promise.all(
    ["Ann", "Bob", "Cleo", "Dora"].map((name) => Person.arrive(topic, browser, address, name)),
  );
  await enterAll([ann, bob, cleo], "lobby");
  await dora.enter("attic");
  await check("everybody sees everybody", async () => {
    for (const person of [ann, bob, cleo, dora]) {
      equal(
        (await person.names()).sort(),
        ["Ann", "Bob", "Cleo", "Dora"].filter((name) => name !== person.name),
      );
    }
  });
  await now("who came into the room is noted there, for those who were there", async () =>
    equal(
      [await ann.notes(), await cleo.notes()],
      [["You came in.", "Bob came in.", "Cleo came in."], ["You came in."]],
    ),
  );

  // Writing.
  const typing = (person) => person.page.locator("#typing").textContent();
  await ann.field.pressSequentially("Let me think", { delay: 15 });
  await check("Bob and Cleo see that Ann is typing", async () =>
    equal([await typing(bob), await typing(cleo)], ["Ann is typing", "Ann is typing"]),
  );
  await now("Ann herself does not, and Dora in another room is told nothing", async () =>
    equal([await typing(ann), ann.got("typing").length, dora.got("typing").length], ["", 0, 0]),
  );
  await now("twelve keys were one message", () => equal(ann.sent("typing").length, 1));
  await bob.field.pressSequentially("Me too");
  await check("two who write are told together", async () => equal(await typing(cleo), "Ann and Bob are typing"));
  await ann.field.press("Enter");
  await check("who has said it is no longer typing", async () =>
    equal([await typing(cleo), await cleo.sees("Let me think")], ["Bob is typing", true]),
  );
  await check("who stops is no longer shown after a few seconds", async () =>
    equal([await typing(cleo), await typing(ann)], ["", ""]),
  );

  // Idle.
  const away = (person) => person.people.locator("li.away .name").allTextContents();
  await hasten(cleo);
  await check(
    "who has not touched anything for five minutes is idle, for everybody else",
    async () => equal([await away(ann), await away(dora)], [["Cleo"], ["Cleo"]]),
    30_000,
  );
  await now("for who listens to the page too", async () =>
    equal(await ann.people.getByRole("button", { name: /^Cleo\s*, idle$/ }).count(), 1),
  );
  await check("and in the room's line", async () =>
    equal(await ann.page.locator("#about .idle").allTextContents(), ["Cleo"]),
  );
  await ann.shot(topic, "idle-light");
  await cleo.page.evaluate(() => window.slowDown());
  await cleo.page.mouse.move(300, 300);
  await check("a move brings them back", async () => equal([await away(ann), await away(dora)], [[], []]));
  await now("and the connection was the same all the time", () => equal(cleo.sockets, 1));

  // Coming in twice.
  const stored = await ann.page.evaluate(() => sessionStorage.getItem("wireroom.session"));
  const context = await browser.newContext();
  topic.later(() => context.close());
  await context.addInitScript((session) => {
    if (!sessionStorage.getItem("wireroom.session")) sessionStorage.setItem("wireroom.session", session);
  }, stored);
  const twin = new Person(await context.newPage(), "Ann");
  topic.people.push(twin);
  await twin.page.goto(address);
  await check("the same person in another window is in, in the same room", async () =>
    equal([await twin.connected(), await twin.heading()], [true, "#lobby"]),
  );
  await check("the older page lets go, in words", async () =>
    equal(
      [await ann.state(), /elsewhere.*4001, replaced/.test(await ann.page.locator("#gone").textContent())],
      ["closed", true],
    ),
  );
  await ann.shot(topic, "replaced-light");
  await twin.say("I moved");
  await check("the others hear the new one", () => bob.sees("I moved"));
  await now("they have seen nobody go or come", async () => {
    equal(bob.got("gone").length + bob.got("left", ({ name }) => name === "Ann").length, 0);
    equal(bob.got("arrived", ({ name }) => name === "Ann").length, 0);
    equal(
      (await bob.notes()).filter((note) => note.startsWith("Ann")),
      [],
    );
  });
  await now("and the older page has not tried to come back", () => equal(ann.sockets, 1));
  await ann.page.getByRole("button", { name: "Use it here" }).click();
  await check("one press brings the older one back, and the newer one lets go", async () =>
    equal([await ann.connected(), await twin.state()], [true, "closed"]),
  );
  await check("with all that was said meanwhile", () => sameOnAll([ann, bob, cleo], 2));
  const thief = await Person.arrive(topic, browser, address, "Ann");
  await thief.enter("lobby");
  await check("somebody else, without the secret, does not get the name", async () =>
    equal([/Choose another name/.test(await thief.alert()), await ann.connected()], [true, true]),
  );
  await thief.context.close();
  await dora.context.close();
  await check("who closes the page is gone for all", async () =>
    equal([(await ann.names()).includes("Dora"), (await bob.names()).includes("Dora")], [false, false]),
  );
}
