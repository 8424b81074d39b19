from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0001_initial'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            # Partitions follow; without a default no row is rewritten.
            database_operations=[
                migrations.RunSQL(
                    'ALTER TABLE inference_prediction ADD COLUMN context jsonb',
                    'ALTER TABLE inference_prediction DROP COLUMN context',
                )
            ],
            state_operations=[
                migrations.AddField(
                    model_name='prediction',
                    name='context',
                    field=models.JSONField(blank=True, help_text='of a raw event: it, and where its features are from', null=True),
                ),
            ],
        ),
    ]
