import shutil, time, pytest
from django.conf import settings
from tests.factories import make_model
from training.models import Study, TrainingJob
from training.services import studies, closing
from training.services.studies import Plan, Source
from training import searches, jobs
pytestmark = pytest.mark.django_db(transaction=True)
def test_it(own_folders):
    settings.DATA_ROOT.mkdir(parents=True, exist_ok=True)
    shutil.copy("/tmp/lab/s4/hb1.parquet", settings.DATA_ROOT/"hb1.parquet")
    m = make_model("hb", parameters={})
    s = studies.request_study(model=m, actor=m.owner, source=Source(dataset_path="hb1.parquet"), plan=Plan(is_automl=True, time_budget_seconds=300),
        parameters={"label_column":"TX_FRAUD","time_column":"TX_DATETIME","test_from":"2018-08-08T00:00:00Z","label_delay_days":7})
    t0=time.time()
    n = searches.begin(str(s.pk)); w=list(n.trials)
    while w:
        tid=w.pop(0); n=searches.work(tid); w+=n.trials
        from training.models import Trial
        t=Trial.objects.get(pk=tid); print(round(time.time()-t0), t.number, t.algorithm, t.status, t.value, round(t.seconds or 0,1), t.rounds, t.error, t.parameters, flush=True)
    print("search", time.time()-t0)
    for _ in range(4):
        closing.advance(study_id=str(s.pk))
        for j in TrainingJob.objects.filter(model=m).open():
            jobs.train(str(j.pk)); j.refresh_from_db(); print(round(time.time()-t0), j.algorithm, j.status, j.error, j.metrics.get("seconds"), (j.metrics.get("test") or {}).get("average_precision"), (j.metrics.get("validation") or {}).get("average_precision"), flush=True)
    s.refresh_from_db(); print(s.status, s.verdict, s.version, s.error, s.importance)
