/** The room's page: reads what the server wrote into it and draws. */
import { render } from "preact";
import { RoomPage, type Boot } from "../room/page";
import "../ui/tokens.css";
import "../ui/kit.css";
import "../room/room.css";

const boot = JSON.parse(document.getElementById("boot")?.textContent ?? "{}") as Boot;
const root = document.getElementById("app");
if (root !== null) render(<RoomPage boot={boot} />, root);
