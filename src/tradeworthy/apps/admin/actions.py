"""What people do from the page: each form checks a role, makes one call of `Project`, and returns to its view.

Idea:   an action that is refused changes nothing and comes back as words on the page; one that is done is a fact with
        the person's name. Halting needs no reason to be found first.
"""

from litestar import Controller, post
from litestar.params import FromPath
from litestar.response import Redirect

from tradeworthy.apps.admin.forms import Fields, number_of, reason_of, share_of, text_of, whole_of
from tradeworthy.apps.admin.visitor import Asked, Html, actor_for, back_to, deployment_of, shown, visit_of
from tradeworthy.apps.dashboard.record import Asked as Question
from tradeworthy.apps.dashboard.record import query_form
from tradeworthy.apps.reports.monitored import gather
from tradeworthy.change.release.canary import symbols_in
from tradeworthy.core.errors import TradeworthyError

ROWS_SHOWN = 200
WITHIN_S = 10.0


class Actions(Controller):
    """Everything that is done from the page."""

    path = "/do"

    include_in_schema = False

    @post("/halt", sync_to_thread=True)
    def halt(self, request: Asked, data: Fields) -> Redirect:
        """Refuse every order in a scope from the next event on."""
        actor, scope = actor_for(request, "halt"), str(data.get("scope", "all"))
        deployment_of(request).project.halt(scope, actor=actor, reason=reason_of(data) or "from the page")
        return back_to(request, "/", f"Halted {scope}. The next order there is refused.")

    @post("/resume", sync_to_thread=True)
    def resume(self, request: Asked, data: Fields) -> Redirect:
        """Allow orders in a scope again."""
        actor, scope = actor_for(request, "resume"), str(data.get("scope", "all"))
        deployment_of(request).project.resume(scope, actor=actor, reason=reason_of(data))
        return back_to(request, "/", f"Resumed {scope}.")

    @post("/rollback", sync_to_thread=True)
    def rollback(self, request: Asked, data: Fields) -> Redirect:
        """Put the previous champion back."""
        actor = actor_for(request, "rollback")
        step = deployment_of(request).project.rollback(actor=actor, reason=reason_of(data))
        return back_to(request, "/versions", f"Rolled back: {step.version[:16]} takes the next event.")

    @post("/versions/{word:str}/approve", sync_to_thread=True)
    def approve(self, request: Asked, word: FromPath[str], data: Fields) -> Redirect:
        """Approve a version for this environment."""
        actor = actor_for(request, "approve")
        step = deployment_of(request).project.approve(word, actor=actor, reason=reason_of(data))
        return back_to(request, f"/versions/{step.version[:16]}", "Approved.")

    @post("/versions/{word:str}/promote", sync_to_thread=True)
    def promote(self, request: Asked, word: FromPath[str], data: Fields) -> Redirect:
        """Give a version a role."""
        actor, role = actor_for(request, "promote"), str(data.get("role", ""))
        symbols = symbols_in(text_of(data, "instruments")) or None
        share = share_of(data) if role == "canary" and not symbols else None
        step = deployment_of(request).project.promote(
            word, to=role, actor=actor, reason=reason_of(data), share=share, instruments=symbols
        )
        on = f" on {', '.join(symbols)} alone" if symbols else ""
        return back_to(request, f"/versions/{step.version[:16]}", f"It is {role}{on} from the next event on.")

    @post("/versions/{word:str}/override", sync_to_thread=True)
    def override(self, request: Asked, word: FromPath[str], data: Fields) -> Redirect:
        """Set a check that stops a version aside until a day; it counts once a second person says so."""
        actor, check, until = actor_for(request, "set_aside"), text_of(data, "check"), text_of(data, "until")
        project = deployment_of(request).project
        told = project.override(word, check, until=until, actor=actor, reason=reason_of(data))
        if not told.in_force:
            said = f"{_words(check)} is set aside by {actor}; it counts once another person says so here."
        elif told.still_stops:
            said = f"{_words(check)} is set aside until {told.until}. Still stopped by {_words(*told.still_stops)}."
        else:
            said = f"{_words(check)} is set aside until {told.until}: the version may be given a role."
        return back_to(request, f"/versions/{told.version[:16]}/gate", said)

    @post("/decisions/{number:int}/override", sync_to_thread=True)
    def override_order(self, request: Asked, number: FromPath[int], data: Fields) -> Redirect:
        """Let a refused order pass the check that refused it, once; it counts once a second role says so."""
        actor, minutes = actor_for(request, "override"), whole_of(data, "minutes")
        told = deployment_of(request).project.override_order(
            number,
            minutes=minutes,
            up_to=number_of(data, "up_to"),
            actor=actor,
            reason=reason_of(data),
            roles=request.user.roles,
        )
        check, until = told.check.lower().replace("_", " "), told.until[:16].replace("T", " ")
        if told.in_force:
            said = f"The next order of {told.instrument} may pass {check}, once, until {until} UTC."
        else:
            said = f"{actor} lets it pass {check}; that counts once another person of another role says so here."
        return back_to(request, f"/decisions/{number}", said)

    @post("/fallback", sync_to_thread=True)
    def fall_back(self, request: Asked, data: Fields) -> Redirect:
        """Let the version before, or a rule that needs no model, decide in the champion's place."""
        actor = actor_for(request, "resize")
        step = deployment_of(request).project.fall_back(text_of(data, "to"), actor=actor, reason=reason_of(data))
        return back_to(request, "/versions", f"From the next event on: {step.done}. {step.version[:16]} acts.")

    @post("/resize", sync_to_thread=True)
    def resize(self, request: Asked, data: Fields) -> Redirect:
        """Let the acting version take a share of its full size."""
        actor, share = actor_for(request, "resize"), share_of(data)
        deployment_of(request).project.resize(share, actor=actor, reason=reason_of(data))
        return back_to(request, "/versions/champion", f"It takes {share:.0%} of its full size from the next event on.")

    @post("/watch/{number:int}/acknowledge", sync_to_thread=True)
    def acknowledge(self, request: Asked, number: FromPath[int], data: Fields) -> Redirect:
        """Take on a finding."""
        actor = actor_for(request, "acknowledge")
        deployment_of(request).project.acknowledge(number, actor=actor, reason=reason_of(data))
        return back_to(request, f"/watch/{number}", "Acknowledged.")

    @post("/watch/{number:int}/close", sync_to_thread=True)
    def close(self, request: Asked, number: FromPath[int], data: Fields) -> Redirect:
        """Settle a finding."""
        actor = actor_for(request, "close")
        deployment_of(request).project.close_finding(number, actor=actor, reason=reason_of(data))
        return back_to(request, f"/watch/{number}", "Closed; the next one of the same cause opens anew.")

    @post("/watch/{number:int}/explain", sync_to_thread=True)
    def explain(self, request: Asked, number: FromPath[int]) -> Redirect:
        """Have what explains a finding gathered."""
        actor_for(request, "see")
        gather(deployment_of(request).project, number)
        return back_to(request, f"/watch/{number}", "The evidence is being gathered.")

    @post("/record/verify", sync_to_thread=True)
    def verify(self, request: Asked) -> Redirect:
        """Check every byte of the record."""
        actor_for(request, "see")
        verified = deployment_of(request).verify()
        said = "The record is whole." if verified.ok else "The record is damaged; see below."
        return back_to(request, "/record", said)

    @post("/record/query", sync_to_thread=True)
    def query(self, request: Asked, data: Fields) -> Html:
        """Answer one question to the record."""
        actor_for(request, "query")
        sql, visit = str(data.get("sql", "")), visit_of(request)
        try:
            answer = deployment_of(request).project.query(sql, rows_max=ROWS_SHOWN, within_s=WITHIN_S)
            asked = Question(sql=sql, columns=answer.columns, rows=answer.rows, more=answer.more)
        except TradeworthyError as error:
            asked = Question(sql=sql, failure=str(error))
        return shown(request, visit, "Ask the record", query_form(visit, asked))


def _words(*names: str) -> str:
    """Write names of checks in words."""
    return ", ".join(name.replace("_", " ") for name in names)
