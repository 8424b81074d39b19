from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('models_app', '0003_more_algorithms'),
    ]

    operations = [
        migrations.AlterField(
            model_name='modelversion',
            name='algorithm',
            field=models.CharField(choices=[('xgboost', 'XGBoost'), ('random_forest', 'Random forest'), ('neural_network', 'Neural network'), ('lstm', 'LSTM'), ('logistic_regression', 'Logistic regression'), ('isolation_forest', 'Isolation forest'), ('ensemble', 'Ensemble'), ('external', 'External')], max_length=40),
        ),
    ]
