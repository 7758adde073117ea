"""Which applicants will be bad: what the model sees, what it learns, how it is trained."""

import lightgbm

import tradeworthy as tw

trigger = tw.Kind.ROW  # an application asks for a decision
row_fields = ("income", "debt_share", "drawn", "late_payments", "months_employed", "group")
features = {
    "log_income": tw.log(tw.row("income")),
    "debt_share": tw.row("debt_share"),
    "drawn": tw.row("drawn"),
    "late_payments": tw.row("late_payments"),
    "months_employed": tw.row("months_employed"),
    "group": tw.row("group"),
}
label = tw.outcome("bad", known_after=1_080)  # 90 days of applications
movable = [  # what an applicant can say of himself; the rest comes from registers
    tw.Movable(features=["log_income"], reach=1.0, direction="up", cost=1.0),
    tw.Movable(features=["months_employed"], reach=1.0, direction="up", cost=1.0),
]

GROUP = list(features).index("group")


def train(rows, labels, weights=None):
    """Fit small trees that cannot see the group: it is in the row to be watched, not to be used.

    Weights come where the project sets `[training] reweigh`.
    """
    rows[:, GROUP] = 0.0
    shape = {"n_estimators": 120, "num_leaves": 6, "learning_rate": 0.05, "min_child_samples": 100}
    return lightgbm.LGBMClassifier(**shape, n_jobs=1, random_state=1, verbose=-1).fit(
        rows, labels, sample_weight=weights
    )
