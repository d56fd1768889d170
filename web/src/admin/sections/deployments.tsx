/** Deployments: where each tool stands in its LMS; those that wait come first. */
import { Button, Empty } from "../../ui/kit";
import { catalogue } from "../../ui/text";
import { Show, Table, useAct, useLoad } from "../load";
import type { Section, SectionProps } from "../sections";

const t = catalogue({
  title: "Deployments",
  intro: "An LMS gives each place where a tool is installed a deployment ID. People can only launch from deployments you allow.",
  none: "No deployments yet",
  noneText: "Deployments appear here when people open the tool from the LMS.",
  platform: "Platform",
  deployment: "Deployment",
  state: "State",
  isIn: "Allowed",
  isOut: "Waiting or blocked",
  letIn: "Allow",
  keepOut: "Block",
});

interface Deployment {
  platform_id: number;
  platform: string;
  app: string;
  deployment_id: string;
  approved: boolean;
}

function Deployments({ ask }: SectionProps) {
  const loaded = useLoad<{ deployments: Deployment[] }>(ask, "/deployments");
  const { busy, error, act } = useAct();
  const decide = ({ platform_id, deployment_id }: Deployment, approved: boolean) =>
    void act(async () => {
      await ask("PUT", "/deployments", { platform_id, deployment_id, approved });
      await loaded.reload();
    });
  return (
    <Show loaded={loaded}>
      {({ deployments }) => (
        <>
          <p class="note">{t("intro")}</p>
          {error && <p role="alert" class="error">{error}</p>}
          {deployments.length === 0 && <Empty title={t("none")} text={t("noneText")} />}
          {deployments.length > 0 && (
            <Table label={t("title")} heads={[t("platform"), t("deployment"), t("state"), ""]}>
              {[...deployments].sort((a, b) => Number(a.approved) - Number(b.approved)).map((each) => (
                <tr key={`${each.platform_id} ${each.deployment_id}`}>
                  <td data-head={t("platform")}>{each.platform}</td>
                  <td data-head={t("deployment")}><code>{each.deployment_id}</code></td>
                  <td data-head={t("state")}>{each.approved ? t("isIn") : <span class="badge warn">{t("isOut")}</span>}</td>
                  <td>
                    <Button small disabled={busy} onClick={() => decide(each, !each.approved)}>{each.approved ? t("keepOut") : t("letIn")}</Button>
                  </td>
                </tr>
              ))}
            </Table>
          )}
        </>
      )}
    </Show>
  );
}

export const deployments: Section = { id: "deployments", title: t("title"), View: Deployments };
