/** A comparison: what each takes, its ratio to the first one, and what differs. */
import type { JSX } from "preact";
import { compareAddress } from "../page/basket";
import type { Links } from "../explore/links";
import type { Figure, Metric } from "../explore/source";
import type { Scalar } from "../api/index_format";
import { maybe, t } from "../text";
import { canBeKnown, device, figure, isEstimated, metricName, modelName, plain, scaleOf, tierName, way, workload } from "../words";
import { type Ratio, ratioText } from "./across";
import { ENERGY, type Found, NLL, type Side } from "./found";


interface Shown {
  readonly found: Found;
  readonly links: Links;
  /** Where a campaign's page lies. */
  readonly campaign: (id: string) => string;
}

export function Comparison({ found, links, campaign }: Shown): JSX.Element {
  const { sides } = found;
  const names = namesOf(sides);
  const ids = sides.map((s) => s.configuration.id.slice(0, 16));
  const within = sides.every((s) => s.ratio === null || s.ratio.basis === "within campaign");
  return (
    <>
      <h2>{t("compare.heading", { n: sides.length })}</h2>
      <p class="lead">
        {t("compare.lead", { baseline: names[0] ?? "" })} {t(within ? "compare.within" : "compare.across")}
        {found.energyClass === "estimated" && (
          <>
            {" "}
            <Estimated links={links} /> {t("compare.estimated")}
          </>
        )}
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("compare.table")}>
        <table class="beside">
          <thead>
            <tr>
              <th scope="col">{t("compare.configuration")}</th>
              <th scope="col">{metricName(ENERGY)}</th>
              <th scope="col">{t("compare.ratio")}</th>
              <th scope="col">{t("compare.quality")}</th>
            </tr>
          </thead>
          <tbody>
            {sides.map((side, i) => (
              <tr key={ids[i]}>
                <th scope="row">
                  <a href={links.configuration(side.configuration.id)}>{names[i]}</a>
                  <br />
                  <span class="sub">
                    {[...common(sides), workload(side.configuration)].join(", ")}
                  </span>
                  <br />
                  {i === 0 ? (
                    <span class="badge">{t("compare.baseline")}</span>
                  ) : (
                    <a class="sub" href={compareAddress(links.compare, first(ids, i))}>
                      {t("compare.make_baseline")}
                    </a>
                  )}{" "}
                  {side.configuration.disagrees && (
                    <span class="badge disagrees" title={t("figure.disagrees_title")}>
                      {t("figure.disagrees")}
                    </span>
                  )}
                </th>
                <Cell sides={sides} of={side} metric={ENERGY} links={links} />
                <td>{side.ratio ? <RatioCell ratio={side.ratio} estimated={found.energyClass === "estimated"} links={links} /> : "1"}</td>
                <Cell sides={sides} of={side} metric={NLL} links={links} />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2>{t("compare.verdict")}</h2>
      <ul class="verdicts">
        {sides.map((side, i) => side.ratio && (
          <li key={ids[i]} class={`verdict-${side.ratio.verdict}`}>
            <strong>
              <a href={links.configuration(side.configuration.id)}>{names[i]}</a>
            </strong>
            : {plain(side.ratio.words, 600)}. <Sharpness ratio={side.ratio} shown={sides.length - 1} campaign={campaign} />
          </li>
        ))}
      </ul>
      {found.notes.map((note) => (
        <p key={note} class="note">
          {plain(note)}
        </p>
      ))}
      <MoreFigures sides={sides} names={names} links={links} />
      {found.differing.length > 0 && <Settings found={found} names={names} />}
      <p class="sub">{found.citation}</p>
      <p>
        <a class="button quiet" href={links.compare}>
          {t("compare.choose")}
        </a>
      </p>
    </>
  );
}

/** How each is run, with model and hardware where those differ; numbered where that tells two of them
 * apart no better. */
function namesOf(sides: readonly Side[]): string[] {
  const parts = [modelName, way, device].map((said) => sides.map((s) => said(s.configuration)));
  const telling = parts.filter((of, i) => i === 1 || new Set(of).size > 1);
  const names = sides.map((_, i) => telling.map((of) => of[i]).join(", "));
  return names.map((name, i) => (names.indexOf(name) !== names.lastIndexOf(name) ? `${name} [${i + 1}]` : name));
}

/** What no name tells, since all have the same. */
function common(sides: readonly Side[]): string[] {
  const parts = [modelName, device].map((said) => new Set(sides.map((s) => said(s.configuration))));
  return parts.filter((of) => of.size === 1).flatMap((of) => [...of]);
}

/** The i-th before the others. */
function first(ids: readonly string[], i: number): { id: string; label: string }[] {
  return [ids[i] ?? "", ...ids.filter((_, j) => j !== i)].map((id) => ({ id, label: id }));
}

function Estimated({ links }: { links: Links }): JSX.Element {
  return (
    <a class="badge estimated" href={`${links.glossary}#estimated`} title={t("figure.estimated_title")}>
      {t("figure.estimated")}
    </a>
  );
}

function RatioCell({ ratio, estimated, links }: { ratio: Ratio; estimated: boolean; links: Links }): JSX.Element {
  return (
    <>
      <span class="value">{ratioText(ratio)}</span> {estimated && ratio.ratio !== null && <Estimated links={links} />}
      <br />
      <span class="sub">{t(ratio.basis === "within campaign" ? "compare.basis_within_campaign" : "compare.basis_across_campaigns")}</span>
    </>
  );
}

/** How sure the interval is, and of how many comparisons together. */
function Sharpness({ ratio, shown, campaign }: { ratio: Ratio; shown: number; campaign: Shown["campaign"] }): JSX.Element {
  const level = String(Number((100 * ratio.level).toPrecision(6)));
  const n = ratio.comparisons;
  return (
    <span class="sub">
      {ratio.blocks !== null && `${t("compare.blocks", { n: ratio.blocks })} `}
      {ratio.low !== null && t(n > shown ? "compare.joint_more" : n > 1 ? "compare.joint" : "compare.alone", { level, n, shown })}
      {ratio.reason !== null && ` ${t("compare.reason", { reason: plain(ratio.reason) })}`}
      {ratio.campaign !== null && (
        <>
          {" "}
          <a href={campaign(ratio.campaign)}>{t("compare.campaign")}</a>.
        </>
      )}
    </span>
  );
}

function Cell({ sides, of, metric, links }: { sides: readonly Side[]; of: Side; metric: Metric; links: Links }): JSX.Element {
  const one = figureOf(of, metric);
  if (!one) return <td class="sub">{t("compare.not_measured")}</td>;
  const said = figure(one, scaleOf(sides.flatMap((s) => figureOf(s, metric) ?? [])));
  return (
    <td>
      <span class={isEstimated(one.energy_class, one.unit) ? "figure is-estimated" : "figure"}>
        <span class="value">{said.value}</span> <span class="unit">{said.unit}</span>
        {!said.certain && (
          <span class="no-u" title={plain(one.why_no_uncertainty ?? t("figure.no_interval"))}>
            {" "}
            {t("figure.no_interval_short")}
          </span>
        )}
      </span>{" "}
      <a class={`badge tier-${one.tier}`} href={`${links.glossary}#${one.tier}`} title={`${t(`tier.${one.tier}.meaning`)} ${t(`tier.${one.tier}.not`)}`}>
        {tierName(one.tier)}
      </a>{" "}
      {isEstimated(one.energy_class, one.unit) && <Estimated links={links} />}
    </td>
  );
}

function figureOf(side: Side, metric: string): Figure | undefined {
  return side.figures.find((f) => f.metric === metric);
}

function MoreFigures({ sides, names, links }: { sides: readonly Side[]; names: readonly string[]; links: Links }): JSX.Element | null {
  // An estimate sees its own processes alone: it knows no power at rest, nor energy above it.
  const known = (f: Figure): boolean => canBeKnown(f.metric, f.energy_class);
  const every = new Set(sides.flatMap((s) => s.figures.filter(known).map((f) => f.metric as Metric)));
  const rest = [...every].filter((m) => m !== ENERGY && m !== NLL);
  if (rest.length === 0) return null;
  return (
    <>
      <h2>{t("compare.more_figures")}</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("compare.more_figures")}>
        <table class="beside">
          <thead>
            <tr>
              <td />
              {names.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rest.map((metric) => (
              <tr key={metric}>
                <th scope="row">{metricName(metric)}</th>
                {sides.map((side) => (
                  <Cell key={side.configuration.id} sides={sides} of={side} metric={metric} links={links} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Settings({ found, names }: { found: Found; names: readonly string[] }): JSX.Element {
  return (
    <>
      <h2>{t("compare.differs")}</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("compare.differs")}>
        <table class="beside">
          <thead>
            <tr>
              <th scope="col">{t("compare.setting")}</th>
              {names.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {found.differing.map(({ path, values }) => (
              <tr key={path} class="differs">
                <th scope="row">{maybe(`dimensions.${path}`) ?? plain(path)}</th>
                {values.map((value, i) => (
                  <td key={names[i]}>{settingText(path, value)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** Characters of a setting's value: more would push the others off the page. */
const LONGEST = 60;

/** What an engine has a default of: of the experiment, and as dimensions of the archive. */
const ENGINES = /^(engine|args|generate)\.|^(dtype|quantization|max_batch_size|tensor_parallel_size)$/;

function settingText(path: string, value: Scalar): string {
  if (value === null || value === "") return t(ENGINES.test(path) ? "compare.engines_default" : "explorer.not_set");
  return plain(typeof value === "string" ? value : JSON.stringify(value), LONGEST);
}

